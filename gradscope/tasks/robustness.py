"""Measuring how robust a run's network is: the task `robustness`."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean, stdev

import torch

from gradscope.config import Robustness
from gradscope.data import Split
from gradscope.data.splits import stratified_order
from gradscope.evaluate.disturbed import Subject
from gradscope.evaluate.robustness import Answers, answers
from gradscope.measured import CLEAN, RobustnessPoint, Task
from gradscope.process import pick_device
from gradscope.store import Store, read_robustness, write_robustness
from gradscope.tasks.report import Report
from gradscope.trained import Trained, load_trained


@dataclass(frozen=True, kw_only=True)
class Point:
    """What is to be measured at once."""

    kind: str
    level: float
    draws: int
    seed: int


def measure_robustness(store: Store, task: Task, report: Report) -> None:
    """Accuracy of a run's network at every kind and level that the settings ask for; what is known is not done again.

    Each point is stored as soon as it is measured. Progress counts pictures.
    """
    settings = Robustness.model_validate(task.settings)
    device = pick_device(settings.device)
    trained = load_trained(store, task.run_id, device, lambda done, total: report(0, None, "loading data"))
    split = chosen(trained.data.test, settings.images)
    known = read_robustness.known(store, task.run_id, trained.fingerprint)
    todo = [p for p in points(settings) if (p.kind, p.level, p.seed, p.draws, len(split)) not in known]
    count = _counter(report, sum(p.draws for p in todo) * len(split))
    for point in todo:
        found = measured(trained, split, point, count)
        write_robustness.point(store, task.run_id, _record(trained, point, found, task))


def points(settings: Robustness) -> list[Point]:
    """Everything the settings ask for, the undisturbed pictures first."""
    asked = [
        Point(kind=kind, level=level, draws=settings.draws_of(kind), seed=settings.seed)
        for kind in settings.kinds
        for level in settings.levels_of(kind)
    ]
    return [Point(kind=CLEAN, level=0.0, draws=1, seed=0), *asked]


def chosen(test: Split, images: int | None) -> Split:
    """That many test pictures, each class in its share, the same ones whoever asks; all by default."""
    if images is None or images >= len(test):
        return test
    order = stratified_order(test.labels.cpu(), torch.Generator().manual_seed(0))
    return test.take(order[:images].sort().values.to(test.labels.device))


def measured(trained: Trained, split: Split, point: Point, told: Callable[[int], None]) -> Answers:
    """Put the network to the test at one point, with the precision of its training."""
    mixed = trained.config.train.mixed_precision and trained.device.type == "cuda"
    return answers(
        Subject(model=trained.model, normalise=trained.normalise),
        split,
        len(trained.data.classes),
        kind=point.kind,
        level=point.level,
        draws=point.draws,
        seed=point.seed,
        autocast=torch.bfloat16 if mixed else None,
        told=told,
    )


def _counter(report: Report, total: int) -> Callable[[int], None]:
    done = 0
    report(done, total)

    def count(pictures: int) -> None:
        nonlocal done
        done += pictures
        report(done, total)

    return count


def _record(trained: Trained, point: Point, found: Answers, task: Task) -> RobustnessPoint:
    gpu = trained.device.type == "cuda"
    return RobustnessPoint(
        kind=point.kind,
        level=point.level,
        seed=point.seed,
        draws=point.draws,
        images=len(found.right),
        step=trained.step,
        fingerprint=trained.fingerprint,
        accuracy=fmean(found.accuracies),
        deviation=stdev(found.accuracies) if point.draws > 1 else None,
        accuracies=found.accuracies,
        per_class=dict(zip(trained.data.classes, found.per_class, strict=True)),
        right=found.right,
        device=torch.cuda.get_device_name(trained.device) if gpu else trained.device.type,
        settings=task.settings,
    )
