"""What came of a reproduction: a row an experiment, paired differences, and every setting that is not the paper's."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from gradscope.analysis.settings import ABSENT, as_now, changes
from gradscope.analysis.wording import UNKNOWN, percent
from gradscope.records import Status
from gradscope.reproduce.group import Group, Item
from gradscope.reproduce.paper import Contrast, Difference, Experiment
from gradscope.reproduce.scales import in_form_of
from gradscope.store import Store, read_robustness

COLUMNS = ["experiment", "title", "published", "mean", "deviation", "n", "difference", "runs"]

_NOT_A_DIFFERENCE = {"train.seed", "train.device", "train.checkpoint_every", "preset", "record.every", "data.path"}
"""Where and how often something is done, and nothing of what is done."""


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


def accuracy(mean: float, deviation: float) -> str:
    """Mean and standard deviation of an accuracy in per cent.

    >>> accuracy(0.5, 0.0123), accuracy(0.5, float("nan"))
    ('50.0 ± 1.2 %', '50.0 %')
    """
    if math.isnan(mean):
        return UNKNOWN
    return percent(mean) if math.isnan(deviation) else f"{100 * mean:.1f} ± {100 * deviation:.1f} %"


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


NOISE_COLUMNS = ["title", "kind", "level", "mean", "deviation", "n"]


def under_noise(store: Store, group: Group) -> pd.DataFrame:
    """Test accuracy on noisy pictures.

    Columns: title, kind (gaussian_noise, uniform_noise), level (standard deviation of the noise; 0 = none), mean and
    deviation (over the seeds, NaN below two), n (runs). Empty where nothing was measured.
    """
    points = noise_points(store, group)
    by = points.groupby(["title", "kind", "level"], sort=False)["accuracy"]
    return by.agg(mean="mean", deviation="std", n="count").reset_index()[NOISE_COLUMNS]


def noise_points(store: Store, group: Group) -> pd.DataFrame:
    """What `read_robustness.points` has of the runs that were tested as the scale has it, with the column title."""
    titles = {
        item.run.id: item.experiment.title
        for item in group.items
        if item.run and item.task and item.task.status is Status.COMPLETED
    }
    points = read_robustness.points(store, list(titles))
    wanted = points["level"].isin([0.0, *group.scale.noise.levels]) & points["kind"].isin(group.scale.noise.kinds)
    return points[wanted].assign(title=points["run"].map(titles).astype("object"))


@dataclass(frozen=True, kw_only=True)
class NoiseOrder:
    """Whether Gaussian noise hurts more than uniform noise of the same standard deviation, as the paper says."""

    lower: int
    """Networks and levels at which the accuracy under Gaussian noise is the lower one."""
    of: int
    mean: float
    """Accuracy under uniform noise less that under Gaussian noise, the mean over networks and levels."""


def noise_order(store: Store, group: Group) -> NoiseOrder | None:
    """The comparison of the two noises over all networks and levels; None where nothing was measured."""
    points = noise_points(store, group)
    both = points[points["level"] > 0].pivot(index=["run", "level"], columns="kind", values="accuracy")
    if both.empty or not {"gaussian_noise", "uniform_noise"} <= set(both.columns):
        return None
    gaps = (both["uniform_noise"] - both["gaussian_noise"]).dropna()
    return NoiseOrder(lower=int((gaps > 0).sum()), of=len(gaps), mean=float(gaps.mean()))


def differences(group: Group, experiment: Experiment) -> list[Difference]:
    """Every setting in which our runs differ from the paper: what scale and form of the data change, then guesses."""
    return [*_of_scale(group, experiment), *experiment.differences, *group.paper.differences]


def _of_scale(group: Group, experiment: Experiment) -> list[Difference]:
    """Computed from the settings themselves: the experiment's at full scale against those of its runs."""
    ours: dict[str, Any] = _actual(group, experiment)
    full = in_form_of(experiment.config, str(ours["data"].get("path") or ""))
    found = changes(full.model_dump(mode="json"), ours)
    return [
        Difference(setting=name, paper=f"{_said(before)} at full scale", ours=_said(after))
        for name, before, after in found
        if name not in _NOT_A_DIFFERENCE and not name.endswith(".teacher_run")
    ]


def _said(value: str) -> str:
    return "not set" if value == ABSENT else value


def _actual(group: Group, experiment: Experiment) -> dict[str, Any]:  # Any: whatever a setting may be
    own = [item for item in group.items if item.experiment.name == experiment.name]
    trained = next((item.run.config for item in own if item.run), None)
    return as_now(trained) if trained else own[0].config.model_dump(mode="json")
