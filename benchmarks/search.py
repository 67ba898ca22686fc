"""What `DoctorPruner` saves in a hyper-parameter search, and whether the best value suffers.

Trials are drawn at random and do not depend on each other, so each is trained to its end, and it is noted after which
epoch the pruner would have ended it: this gives the search with the pruner and the one without from the same trainings.
"""

import argparse
import logging
import tempfile
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import optuna
import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.labelled.data import task
from gradscope.config import Initialisation, Mlp
from gradscope.integrations.optuna import DoctorPruner
from gradscope.methods import build_methods
from gradscope.models.mlp import MLP

EPOCHS, BATCH, PICTURES, WIDTH = 12, 32, 480, 24
NEAR = 0.05
"""A trial within so much of the best accuracy is one that should not have been ended."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """One trial."""

    accuracy: float
    ended_after: int | None
    """Epochs after which the pruner would have ended it."""
    why: str


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
    model, optimizer = _network(trial)
    data = task("digits").limited(PICTURES)
    per_epoch = PICTURES // BATCH
    ended, why = None, ""
    with pruner.recorded(trial, total_steps=EPOCHS * per_epoch) as run:
        run.watch(model, optimizer, log="all", every=5)
        for epoch in range(EPOCHS):
            order = torch.randperm(PICTURES, generator=torch.Generator().manual_seed(epoch))
            for chosen in order.split(BATCH):
                optimizer.zero_grad()
                loss = functional.cross_entropy(model(data.train[0][chosen]), data.train[1][chosen])
                loss.backward()
                optimizer.step()
                run.log({"train_loss": loss})
            accuracy = _accuracy(model, data.val)
            run.log({"val_accuracy": accuracy})
            trial.report(accuracy, epoch)
            if ended is None and trial.should_prune():
                ended, why = epoch + 1, pruner.reason(trial.number) or ""
    found.append(Trained(accuracy=accuracy, ended_after=ended, why=why))
    return accuracy


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
    lines = [
        "# What a diagnosis saves in a hyper-parameter search",
        "",
        textwrap.fill(" ".join(head.split()), 120),
        "",
        f"| seed | trials ended | steps saved | best without | best with | ended within {NEAR:.0%} of the best |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(seed, search) for seed, search in enumerate(searches)]
    saved = [_saved(search) for search in searches]
    lines += ["", f"Steps saved: {np.mean(saved):.1%} ± {np.std(saved):.1%} (mean and standard deviation)."]
    ended = [t for search in searches for t in search if t.ended_after]
    median = np.median([t.ended_after for t in ended]) if ended else float("nan")
    lines += [f"A trial that was ended was ended after {median:.0f} of {EPOCHS} epochs (median)."]
    return "\n".join(lines) + "\n"


def _saved(search: list[Trained]) -> float:
    return float(np.mean([1 - (t.ended_after or EPOCHS) / EPOCHS for t in search]))


def _row(seed: int, search: list[Trained]) -> str:
    best = max(t.accuracy for t in search)
    kept = max((t.accuracy for t in search if not t.ended_after), default=float("nan"))
    ended = [t for t in search if t.ended_after]
    wrongly = sum(t.accuracy >= best - NEAR for t in ended)
    return f"| {seed} | {len(ended)} of {len(search)} | {_saved(search):.1%} | {best:.1%} | {kept:.1%} | {wrongly} |"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="Markdown file of the report")
    return parser.parse_args()


if __name__ == "__main__":
    main()
