"""What came of a reproduction: a row an experiment, paired differences, and every setting that is not the paper's."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradscope.analysis.settings import changes
from gradscope.records import Status
from gradscope.reproduce.group import Group, Item
from gradscope.reproduce.paper import Contrast, Difference, Experiment

COLUMNS = ["experiment", "title", "published", "mean", "deviation", "n", "difference", "runs"]

_NOT_A_DIFFERENCE = {"train.seed", "train.device", "train.checkpoint_every", "preset", "record.every"}


def summary(group: Group) -> pd.DataFrame:
    """One row an experiment, in the paper's order.

    Columns: experiment, title, published (accuracy in 0..1, NaN where there is none), mean and deviation (standard
    deviation over the seeds, NaN below two) of our test accuracy, n (completed runs), difference (mean - published),
    runs (how many are in which state, in words).
    """
    rows = []
    for experiment, items in by_experiment(group):
        found = np.array(accuracies(items))
        published = experiment.published.accuracy if experiment.published else math.nan
        mean = float(found.mean()) if found.size else math.nan
        deviation = float(found.std(ddof=1)) if found.size > 1 else math.nan
        numbers = (published, mean, deviation, found.size, mean - published)
        rows.append((experiment.name, experiment.title, *numbers, runs_in_words(items)))
    return pd.DataFrame(rows, columns=COLUMNS)


def runs_in_words(items: Sequence[Item]) -> str:
    """How many are completed, and what became of the others, such as `1 of 3, 1 running`."""
    others = Counter(item.run.status.value for item in items if item.run and item.run.status is not Status.COMPLETED)
    done = sum(item.run is not None for item in items) - sum(others.values())
    return ", ".join([f"{done} of {len(items)}", *(f"{n} {status}" for status, n in others.items())])


def by_experiment(group: Group) -> list[tuple[Experiment, list[Item]]]:
    """Each experiment with its items, by seed."""
    names = dict.fromkeys(item.experiment.name for item in group.items)
    own = {name: [item for item in group.items if item.experiment.name == name] for name in names}
    return [(items[0].experiment, items) for items in own.values()]


def accuracies(items: Sequence[Item]) -> list[float]:
    """Test accuracy of each completed run."""
    found = [item.run.results.test_accuracy for item in items if item.run and item.run.status is Status.COMPLETED]
    return [accuracy for accuracy in found if accuracy is not None]


def seeds_table(group: Group) -> pd.DataFrame:
    """Every completed run. Columns: experiment, title, seed, accuracy."""
    rows = [
        (item.experiment.name, item.experiment.title, item.seed, accuracy)
        for item in group.items
        for accuracy in accuracies([item])
    ]
    return pd.DataFrame(rows, columns=["experiment", "title", "seed", "accuracy"])


@dataclass(frozen=True, kw_only=True)
class Paired:
    """The same seeds of two experiments, compared."""

    contrast: Contrast
    n: int
    mean: float
    """Accuracy of the first less that of the second."""
    deviation: float
    """Standard deviation of that over the seeds; NaN below two."""
    higher: int
    """Seeds in which the first is higher."""


def paired(group: Group) -> list[Paired]:
    """Every question of the paper that at least one seed can answer."""
    table = seeds_table(group).pivot(index="seed", columns="experiment", values="accuracy")
    found = []
    for contrast in group.paper.contrasts:
        if not {contrast.first, contrast.second} <= set(table.columns):
            continue
        gaps = (table[contrast.first] - table[contrast.second]).dropna().to_numpy(dtype=np.float64)
        if gaps.size:
            deviation = float(gaps.std(ddof=1)) if gaps.size > 1 else math.nan
            higher = int((gaps > 0).sum())
            found.append(
                Paired(contrast=contrast, n=gaps.size, mean=float(gaps.mean()), deviation=deviation, higher=higher)
            )
    return found


def differences(group: Group, experiment: Experiment) -> list[Difference]:
    """Every setting in which our runs differ from the paper: what scale and form of the data change, then guesses."""
    return [*_of_scale(group, experiment), *experiment.differences, *group.paper.differences]


def _of_scale(group: Group, experiment: Experiment) -> list[Difference]:
    """Computed from the settings themselves: the experiment's at full scale against those of its runs."""
    ours: dict[str, Any] = _actual(group, experiment)
    found = changes(experiment.config.model_dump(mode="json"), ours)
    return [
        Difference(setting=name, paper=f"{before} at full scale", ours=after)
        for name, before, after in found
        if name not in _NOT_A_DIFFERENCE
    ]


def _actual(group: Group, experiment: Experiment) -> dict[str, Any]:  # Any: whatever a setting may be
    own = [item for item in group.items if item.experiment.name == experiment.name]
    trained = next((item.run.config for item in own if item.run), None)
    return dict(trained) if trained else own[0].config.model_dump(mode="json")
