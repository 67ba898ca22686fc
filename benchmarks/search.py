"""What `DoctorPruner` saves in a hyper-parameter search, and whether the best value suffers.

Trials are drawn at random and do not depend on each other, so each is trained to its end, and it is noted after which
epoch the pruner would have ended it: this gives the search with the pruner and the one without from the same trainings.
"""

import argparse
import logging
import tempfile
import textwrap
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.labelled.data import Task, task
from gradscope.config import Initialisation, Mlp
from gradscope.integrations.optuna import DoctorPruner
from gradscope.methods import build_methods
from gradscope.models.mlp import MLP

EPOCHS, BATCH, PICTURES, WIDTH = 12, 32, 480, 24
NEAR = 0.05
"""A trial within so much of the best accuracy is one that should not have been ended."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One trial; times are of the processor, in seconds."""

    accuracy: float
    ended_after: int | None
    """Epochs after which the pruner would have ended it."""
    why: str
    plain: float
    """To train it to its end, with nobody watching."""
    watched: float
    """The same with recorder and pruner."""
    until_ended: float
    """The same until the pruner would have ended it, else all of it."""


def main() -> None:
    options = _options()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("gradscope").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    began = time.process_time()
    searches = [_search(seed, options.trials) for seed in range(options.seeds)]
    text = _report(searches, time.process_time() - began)
    print(text)
    if options.out:
        options.out.write_text(text)


def _search(seed: int, n_trials: int) -> list[Trained]:
    found: list[Trained] = []
    with tempfile.TemporaryDirectory() as folder:
        pruner = DoctorPruner(store=Path(folder) / "runs.db")
        sampler = optuna.samplers.RandomSampler(seed=seed)
        study = optuna.create_study(direction="maximize", pruner=pruner, sampler=sampler, study_name=f"search {seed}")
        study.optimize(lambda trial: _train(trial, pruner, found), n_trials=n_trials)
    return found


def _train(trial: optuna.Trial, pruner: DoctorPruner, found: list[Trained]) -> float:
    plain = _plainly(trial)
    began, until_ended, ended, why = time.process_time(), None, None, ""
    model, optimizer = _network(trial)
    data = task("digits").limited(PICTURES)
    with pruner.recorded(trial, total_steps=EPOCHS * PICTURES // BATCH) as run:
        run.watch(model, optimizer, log="all", every=5)
        for epoch in range(EPOCHS):
            _epoch(model, optimizer, data, epoch, lambda loss: run.log({"train_loss": loss}))
            accuracy = _accuracy(model, data.val)
            run.log({"val_accuracy": accuracy})
            trial.report(accuracy, epoch)
            is_bad = trial.should_prune()  # asked to the end, as in a search that is watched and ends nothing
            if ended is None and is_bad:
                ended, why, until_ended = epoch + 1, pruner.reason(trial.number) or "", time.process_time() - began
    watched = time.process_time() - began
    times = {"plain": plain, "watched": watched, "until_ended": until_ended or watched}
    found.append(Trained(accuracy=accuracy, ended_after=ended, why=why, **times))
    return accuracy


def _plainly(trial: optuna.Trial) -> float:
    """Processor time of the same training with nobody watching."""
    began = time.process_time()
    model, optimizer = _network(trial)
    data = task("digits").limited(PICTURES)
    for epoch in range(EPOCHS):
        _epoch(model, optimizer, data, epoch, lambda loss: None)
        _accuracy(model, data.val)
    return time.process_time() - began


def _epoch(
    model: nn.Module, optimizer: torch.optim.Optimizer, data: Task, epoch: int, log: Callable[[Tensor], None]
) -> None:
    order = torch.randperm(PICTURES, generator=torch.Generator().manual_seed(epoch))
    for chosen in order.split(BATCH):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(data.train[0][chosen]), data.train[1][chosen])
        loss.backward()
        optimizer.step()
        log(loss)


def _network(trial: optuna.Trial) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(trial.number)
    depth = trial.suggest_int("depth", 3, 12)
    settings = Mlp(depth=depth, width=WIDTH, activation=trial.suggest_categorical("f", ["relu", "tanh", "sigmoid"]))
    model: nn.Module = MLP(settings, (1, 8, 8), 10)
    start = Initialisation(scheme="xavier", gain=trial.suggest_float("gain", 0.3, 3.0, log=True))
    for method in build_methods((start,)):
        model = method.adapt(model, torch.Generator().manual_seed(trial.number))
    kinds = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}
    kind = kinds[trial.suggest_categorical("optimizer", ["sgd", "adam"])]
    return model, kind(model.parameters(), lr=trial.suggest_float("lr", 1e-5, 3.0, log=True))


@torch.no_grad()
def _accuracy(model: nn.Module, split: tuple[Tensor, Tensor]) -> float:
    return float((model(split[0]).argmax(1) == split[1]).float().mean())


def _report(searches: list[list[Trained]], seconds: float) -> str:
    trials = len(searches[0])
    head = f"""
        Written by `python -m benchmarks.search`. {len(searches)} searches (seeds from 0) of {trials} random trials
        each: a fully connected network on {PICTURES} of the digits of scikit-learn, {EPOCHS} epochs; learning rate
        1e-5 to 3, SGD or Adam, 3 to 12 layers, ReLU, tanh or sigmoid, gain 0.3 to 3. `DoctorPruner()` as it comes: a
        critical finding at two reports in a row. Trials do not depend on each other, so each was trained to its end
        and it was noted when the pruner would have ended it. {seconds:.0f} s of processor time."""
    lines = ["# What a diagnosis saves in a hyper-parameter search", "", _paragraph(head), ""]
    lines += [
        "| seed | trials ended | steps saved | processor time saved | the same against nobody watching | best without "
        f"| best with | ended within {NEAR:.0%} of the best |",
        "|---|---|---|---|---|---|---|---|",
    ]
    lines += [_row(seed, search) for seed, search in enumerate(searches)]
    lines += ["", *_summary(searches)]
    return "\n".join(lines) + "\n"


def _summary(searches: list[list[Trained]]) -> list[str]:
    ended = [t for search in searches for t in search if t.ended_after]
    median = np.median([t.ended_after for t in ended]) if ended else float("nan")
    every = [t for search in searches for t in search]
    cost = sum(t.watched for t in every) / sum(t.plain for t in every)
    more = float(np.mean([t.watched - t.plain for t in every]))
    saved = float(np.mean([_time_saved(search) for search in searches]))
    enough = more * (1 - saved) / saved if saved > 0 else float("inf")
    read = f"""
        Mean and standard deviation over the searches: {_spread(_saved, searches)} of the steps saved, and
        {_spread(_time_saved, searches)} of the processor time of a search that is watched as well. A trial that was
        ended was ended after {median:.0f} of {EPOCHS} epochs (median).

        **What it costs.** To watch everything every five steps and to diagnose after each epoch adds {more:.1f} s to a
        trial, and makes these, of about a millisecond a step, {cost:.1f} times as long: against a search with nobody
        watching, {_spread(_net, searches)} of the processor time is saved (below zero: lost). At that price a search
        gains where a trial takes more than {enough:.0f} s."""
    context = """
        For context only: BTTackler (Pei et al., KDD 2024, arXiv 2602.23630) publishes 40 % of a search saved, on other
        networks, another space and another budget."""
    return ["\n\n".join(map(_paragraph, (*read.split("\n\n"), context)))]


def _spread(of: Callable[[list[Trained]], float], searches: list[list[Trained]]) -> str:
    values = [of(search) for search in searches]
    deviation = np.std(values, ddof=1) if len(values) > 1 else float("nan")
    return f"{np.mean(values):.1%} ± {deviation:.1%}"


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120)


def _saved(search: list[Trained]) -> float:
    return float(np.mean([1 - (t.ended_after or EPOCHS) / EPOCHS for t in search]))


def _time_saved(search: list[Trained]) -> float:
    """Of a search that is watched and ends nothing."""
    return 1 - sum(t.until_ended for t in search) / sum(t.watched for t in search)


def _net(search: list[Trained]) -> float:
    """Of a search with nobody watching."""
    return 1 - sum(t.until_ended for t in search) / sum(t.plain for t in search)


def _row(seed: int, search: list[Trained]) -> str:
    best = max(t.accuracy for t in search)
    kept = max((t.accuracy for t in search if not t.ended_after), default=float("nan"))
    ended = [t for t in search if t.ended_after]
    wrongly = sum(t.accuracy >= best - NEAR for t in ended)
    saved = f"{_saved(search):.1%} | {_time_saved(search):.1%} | {_net(search):.1%}"
    return f"| {seed} | {len(ended)} of {len(search)} | {saved} | {best:.1%} | {kept:.1%} | {wrongly} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="Markdown file of the report")
    return parser.parse_args()


if __name__ == "__main__":
    main()
