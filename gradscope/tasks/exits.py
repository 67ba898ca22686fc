"""Putting the exits of a run's network to the test: the task `exits`.

A network without exits counts as one with a single exit, so that plain networks stand beside elastic ones.
"""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gradscope.config.exits import Exits, Rule
from gradscope.data import Split
from gradscope.data.splits import stratified_order
from gradscope.evaluate.exits import RULES, answered, mean_macs, warm_up
from gradscope.exit_answers import ExitAnswers
from gradscope.measured import ExitPoint, ExitSweep, Task
from gradscope.methods.exit_scores import ExitScore, exit_logits, exit_scores
from gradscope.models.budgets import At, entropy
from gradscope.models.early_exit import Pieces
from gradscope.models.elastic import ElasticNetwork
from gradscope.process import pick_device
from gradscope.store import Store, read_exits, write_exits
from gradscope.tasks.report import Report
from gradscope.trained import Trained, load_trained

KEPT_PICTURES = 500
"""So many pictures are kept to be shown."""


def measure_exits(store: Store, task: Task, report: Report) -> None:
    """Accuracy, cost and time of every exit, then of leaving at each threshold; what is known is not measured again.

    Exits are stored together, thresholds one by one. Progress counts pictures.
    """
    settings = Exits.model_validate(task.settings)
    trained = load_trained(
        store, task.run_id, pick_device(settings.device), lambda done, total: report(0, None, "loading data")
    )
    work = _Measuring(trained, settings)
    mixed = trained.config.train.mixed_precision and trained.device.type == "cuda"
    with torch.autocast(trained.device.type, torch.bfloat16, enabled=mixed):  # as it was trained
        work.measure(store, report)


def _counter(report: Report, total: int) -> Callable[[int], None]:
    done = 0
    report(done, total)

    def count(pictures: int) -> None:
        nonlocal done
        done += pictures
        report(done, total)

    return count


class _Measuring:
    """A network, its test pictures and how they are answered."""

    def __init__(self, trained: Trained, settings: Exits) -> None:
        self.trained, self.settings = trained, settings
        self.network = _with_exits(trained)
        self.pieces = Pieces(self.network)
        self.split = _shuffled(trained.data.test, settings.images)

    def measure(self, store: Store, report: Report) -> None:
        """What is not known yet."""
        known, run_id = self.known(store), self.trained.run_id
        exits = [] if "exits" in known else list(range(self.network.n_exits))
        sweeps = [pair for pair in self.thresholds() if pair not in known]
        count = _counter(report, (len(exits) + bool(exits) + len(sweeps)) * len(self.split))
        warm_up(self.pieces, self.split, self.trained.normalise, self.settings.batch_size)
        if exits:
            write_exits.exits(store, run_id, self.exits(store, count))
        for rule, threshold in sweeps:
            write_exits.exits(store, run_id, [], [self.sweep(rule, threshold, count)])

    def thresholds(self) -> list[tuple[Rule, float]]:
        """Of the settings; none for a network without exits, which all pictures leave at the end."""
        return self.settings.thresholds() if self.network.n_exits > 1 else []

    def known(self, store: Store) -> set[object]:
        """What is measured already of these weights: thresholds, and `exits` for all of them."""
        here = (self.trained.fingerprint, len(self.split), self.settings.batch_size)
        exits, sweeps = (of(store, [self.trained.run_id]) for of in (read_exits.exits, read_exits.sweeps))
        same = [frame[(frame[read_exits.ALIKE] == list(here)).all(axis=1)] for frame in (exits, sweeps)]
        pairs = zip(same[1]["rule"], same[1]["threshold"], strict=True)
        return {*pairs, *(["exits"] if len(same[0]) else [])}

    def exits(self, store: Store, count: Callable[[int], None]) -> list[ExitPoint]:
        """Every exit by itself; keeps what each answers to each picture."""
        normalise, split, size = self.trained.normalise, self.split, self.settings.batch_size
        logits = exit_logits(self.network, split, normalise, size)
        self._keep(store, logits)
        count(len(split))
        found = []
        for i, score in enumerate(exit_scores(logits, split.labels)):
            run = answered(self.pieces, split, normalise, At(i), size, count)
            found.append(self._point(i, score, run.milliseconds))
        return found

    def _point(self, i: int, score: ExitScore, milliseconds: float) -> ExitPoint:
        cost = self.pieces.costs[i]
        return ExitPoint(
            exit=i + 1,
            point=self.network.points[i] if i < len(self.network.points) else None,
            accuracy=score.accuracy,
            loss=score.loss,
            calibration_error=score.calibration_error,
            macs=cost.macs,
            macs_asking=cost.macs_asking,
            parameters=cost.parameters,
            milliseconds=milliseconds,
            images=len(self.split),
            step=self.trained.step,
            fingerprint=self.trained.fingerprint,
            batch_size=self.settings.batch_size,
            device=device_name(self.trained.device),
        )

    def sweep(self, rule: Rule, threshold: float, count: Callable[[int], None]) -> ExitSweep:
        """Pictures that leave at the first exit that is sure enough."""
        budget = RULES[rule](threshold)
        run = answered(self.pieces, self.split, self.trained.normalise, budget, self.settings.batch_size, count)
        return ExitSweep(
            rule=rule,
            threshold=threshold,
            accuracy=run.accuracy,
            macs=mean_macs(self.pieces, run.exits),
            milliseconds=run.milliseconds,
            left=run.left(self.network.n_exits),
            images=len(self.split),
            step=self.trained.step,
            fingerprint=self.trained.fingerprint,
            batch_size=self.settings.batch_size,
            device=device_name(self.trained.device),
        )

    def _keep(self, store: Store, logits: Tensor) -> None:
        sure, answers = logits.softmax(2).max(2)
        kept = ExitAnswers(
            labels=self.split.labels.cpu().numpy(),
            answers=answers.cpu().numpy(),
            confidence=sure.cpu().numpy(),
            entropy=entropy(logits).cpu().numpy(),
            images=self.split.images[:KEPT_PICTURES].cpu().numpy().astype(np.uint8),
            classes=tuple(self.trained.data.classes),
        )
        trained = self.trained
        kept.save(store.paths(trained.run_id).exit_answers(trained.fingerprint, len(self.split)))


def _with_exits(trained: Trained) -> ElasticNetwork:
    """The elastic network within a run's, or its whole network as one with a single exit."""
    found = next((module for module in trained.model.modules() if isinstance(module, ElasticNetwork)), None)
    if found is not None:
        return found
    data = trained.data
    return ElasticNetwork(trained.model, [], in_shape=data.shape, n_classes=len(data.classes)).eval()


def _shuffled(test: Split, images: int | None) -> Split:
    """That many test pictures in one order for all runs, so that the first of them are of all classes."""
    order = stratified_order(test.labels.cpu(), torch.Generator().manual_seed(0))
    return test.take(order[: images or len(test)].to(test.labels.device))


def device_name(device: torch.device) -> str:
    """A GPU by its name, others by their kind."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
