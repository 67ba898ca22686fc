"""From accuracy at strengths of noise to what can be compared: relative curves, areas with intervals, pooled runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradscope.analysis.intervals import Interval, of_mean

_Z = 1.959964
"""Half width of a 95 % interval in standard errors, for a mean of many values."""

CURVE_COLUMNS = ["run", "kind", "level", "accuracy", "low", "high", "relative", "relative_low", "relative_high", "n"]


def curves(points: pd.DataFrame, groups: Mapping[int, int]) -> pd.DataFrame:
    """One curve for each group of runs and kind, with its band.

    Args:
        points: `gradscope.store.read_robustness.points`.
        groups: the group of each run to draw; a group goes by the number of one of its runs.

    Returns:
        Columns: run (the group), kind, level, accuracy (mean over its runs), low, high (a standard deviation below and
        above: over the draws of a single run, over the runs of several), relative, relative_low, relative_high (the
        same of each run's share of its own accuracy at level 0; NaN where that is unknown or 0), n (runs).
    """
    rows = _with_relative(points[points["run"].isin(list(groups))])
    rows = rows.assign(group=rows["run"].map(dict(groups)))
    by = rows.groupby(["group", "kind", "level"])
    n = by["run"].nunique()
    columns = {"n": n, **_mean_and_band(by, n, "accuracy", "deviation", ("accuracy", "low", "high"))}
    columns |= _mean_and_band(by, n, "share", "share_deviation", ("relative", "relative_low", "relative_high"))
    table = pd.DataFrame(columns, index=n.index).reset_index()
    return table.rename(columns={"group": "run"})[CURVE_COLUMNS]


def _with_relative(points: pd.DataFrame) -> pd.DataFrame:
    """Adds share and share_deviation: accuracy and its deviation over the run's own accuracy at level 0."""
    clean = points.loc[points["level"] == 0].set_index(["run", "kind"])["accuracy"]
    keys = pd.MultiIndex.from_frame(points[["run", "kind"]])
    at_zero = pd.Series(clean.reindex(keys).to_numpy(dtype=np.float64), index=points.index)
    at_zero = at_zero.where(at_zero > 0)
    return points.assign(share=points["accuracy"] / at_zero, share_deviation=points["deviation"] / at_zero)


def _mean_and_band(
    by: Any,  # Any: pandas names no type for a group-by of several columns
    n: pd.Series,
    value: str,
    deviation: str,
    names: tuple[str, str, str],
) -> dict[str, pd.Series]:
    mean = by[value].mean()
    spread = by[value].std().where(n > 1, by[deviation].first()).fillna(0.0)
    return dict(zip(names, (mean, mean - spread, mean + spread), strict=True))


def weights(levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of the trapezoid rule over rising levels, divided by their span, so that they add up to 1; shape as the levels.

    >>> weights(np.array([0.0, 1.0, 3.0])).round(3).tolist()
    [0.167, 0.5, 0.333]
    """
    if len(levels) == 1:
        return np.ones(1)
    gaps = np.diff(levels)
    both: NDArray[np.float64] = np.append(gaps, 0.0) + np.insert(gaps, 0, 0.0)
    both /= 2 * (levels[-1] - levels[0])
    return both


def picture_areas(levels: NDArray[np.float64], right: NDArray[np.float64]) -> NDArray[np.float64]:
    """The area of each picture, in 0..1, shape (N,); arguments as in `area`."""
    each: NDArray[np.float64] = weights(levels) @ right
    return each


def area(found: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> Interval:
    """The area under a robustness curve, as the mean accuracy over its levels, with its 95 % interval.

    Each picture has an area of its own, and the network's is their mean: so the interval is the usual one of a mean. It
    covers the choice of the test pictures and the draws of the noise, not the seed of the training.

    Args:
        found: for one kind of disturbance, or several that count alike: the levels, rising, shape (L,), and the share
            of the draws in which each picture was right, in 0..1, shape (L, N).

    Raises:
        ValueError: the kinds were measured on different numbers of pictures.
    """
    if len({right.shape[1] for _, right in found}) != 1:
        raise ValueError("areas of kinds that were measured on different pictures have no mean; measure them alike")
    each = np.mean([picture_areas(levels, right) for levels, right in found], axis=0)
    half = _Z * float(each.std(ddof=1)) / math.sqrt(each.size) if each.size > 1 else math.nan
    return _interval(float(each.mean()), half, each.size)


def over_runs(areas: Sequence[float]) -> Interval:
    """Mean of the areas of several runs with its 95 % interval, which covers the seeds of the training."""
    found = of_mean(areas)
    return _interval(found.mean, found.high - found.mean, found.n)


def _interval(mean: float, half: float, n: int) -> Interval:
    low, high = (math.nan, math.nan) if math.isnan(half) else (max(0.0, mean - half), min(1.0, mean + half))
    return Interval(mean=mean, low=low, high=high, n=n)


def same_settings(configs: Mapping[int, Mapping[str, Any]]) -> dict[int, int]:  # Any: whatever a config holds
    """The group of each run: the first of those whose settings differ in the seed at most.

    >>> a, b = {"lr": 1, "train": {"seed": 0}}, {"lr": 1, "train": {"seed": 1}}
    >>> same_settings({4: a, 5: b, 6: {"lr": 2, "train": {"seed": 0}}})
    {4: 4, 5: 4, 6: 6}
    """
    first: dict[str, int] = {}
    return {run: first.setdefault(_without_seed(config), run) for run, config in configs.items()}


def _without_seed(config: Mapping[str, Any]) -> str:  # Any: as above
    train = config.get("train")
    rest = {k: v for k, v in train.items() if k != "seed"} if isinstance(train, Mapping) else train
    return repr(sorted({**config, "train": rest}.items()))


def per_class(points: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Accuracy of each class against the level. Columns: run, class, level, accuracy (0..1; NaN = no picture of it)."""
    rows = points[points["kind"] == kind]
    found = [
        (run, name, level, accuracy)
        for run, level, classes in zip(rows["run"], rows["level"], rows["per_class"], strict=True)
        for name, accuracy in classes.items()
    ]
    return pd.DataFrame(found, columns=["run", "class", "level", "accuracy"]).astype({"accuracy": "float64"})
