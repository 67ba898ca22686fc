"""Runs set beside each other: what came of them over seeds, what they cost, and how their decay differs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import fmean, stdev
from typing import Literal

import numpy as np
import pandas as pd

from gradscope.analysis import decay
from gradscope.analysis.findings.remedies import settings_of
from gradscope.analysis.intervals import of_mean
from gradscope.analysis.labels import with_short_names
from gradscope.analysis.life import seconds_taken
from gradscope.analysis.pooling import geometric_mean, members
from gradscope.analysis.recording import share_of_time
from gradscope.data.sizes import data_shape
from gradscope.models.sizes import n_macs
from gradscope.records import Run

Align = Literal["layer", "depth"]
"""Layers stand beside each other by their index, or by their relative depth (0 at the input, 1 at the output)."""

OUTCOME_COLUMNS = [
    *(
        "group",
        "runs",
        "n",
        "val_accuracy",
        "val_deviation",
        "test_accuracy",
        "test_deviation",
        "test_low",
        "test_high",
    ),
    *("val_map", "test_map"),
    *("factor", "verdict", "parameters", "seconds", "seconds_deviation", "samples_per_second", "macs", "recording"),
]
DIFFERENCE_COLUMNS = ["run", "layer", "name", "depth", "decades", "rms", "reference"]

_BACKWARD = 3
"""Multiply-accumulates of a training step in those of its forward pass: the backward pass makes two products a layer,
one for the signal and one for the gradient (the first layer's signal, which nobody needs, is counted too)."""


def outcomes(runs: Sequence[Run], groups: Mapping[int, int], profile: pd.DataFrame, now: datetime) -> pd.DataFrame:
    """What came of each group of runs: one row a group, numbers pooled over its runs.

    Args:
        runs: to be compared.
        groups: the group of each run.
        profile: `gradscope.store.read.profile` of their gradients.
        now: for runs that go on.

    Returns:
        Columns: group, runs (numbers, a tuple), n; val_accuracy (mean of the best of each run), val_deviation,
        test_accuracy, test_deviation, test_low, test_high (Student's 95 % interval over the seeds), all in 0..1;
        val_map and test_map (mean average precision in 0..1, of pictures with several labels);
        factor (of the gradient a layer, geometric mean), verdict (on its decay, with how many runs it holds for where
        they differ); parameters; seconds (at work, mean), seconds_deviation; samples_per_second (mean); macs
        (multiply-accumulates of the training so far, mean); recording (share of the time, mean). NaN where unknown, and
        for deviations and intervals of less than two runs.
    """
    named = with_short_names(profile)
    of = {run.id: run for run in runs}
    rows = [_outcome(group, [of[i] for i in ids if i in of], named, now) for group, ids in members(groups).items()]
    return pd.DataFrame(rows, columns=OUTCOME_COLUMNS)


def _outcome(group: int, runs: Sequence[Run], profile: pd.DataFrame, now: datetime) -> dict[str, object]:
    decays = [decay.of_profile(own) for run in runs if len(own := profile[profile["run"] == run.id])]
    validation = _known([run.results.best_val_accuracy for run in runs])
    test = _known([run.results.test_accuracy for run in runs])
    seconds = _known([seconds_taken(run, now) for run in runs])
    between = of_mean(test)
    return {
        "group": group,
        "runs": tuple(run.id for run in runs),
        "n": len(runs),
        **_mean_and_deviation("val_accuracy", "val_deviation", validation),
        **_mean_and_deviation("test_accuracy", "test_deviation", test),
        "test_low": float(np.clip(between.low, 0.0, 1.0)),
        "test_high": float(np.clip(between.high, 0.0, 1.0)),
        "val_map": _mean(_known([run.results.best_val_map for run in runs])),
        "test_map": _mean(_known([run.results.test_map for run in runs])),
        "factor": geometric_mean(pd.Series([found.factor for found in decays], dtype="float64")),
        "verdict": _most([found.verdict for found in decays]),
        "parameters": _mean(_known([run.n_parameters for run in runs])),
        **_mean_and_deviation("seconds", "seconds_deviation", seconds),
        "samples_per_second": _mean(_known([run.progress.samples_per_second for run in runs])),
        "macs": _mean(_known([training_macs(run) for run in runs])),
        "recording": _mean(_known([share_of_time(run) for run in runs])),
    }


def _known(values: Sequence[float | None]) -> list[float]:
    return [float(value) for value in values if value is not None]


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else float("nan")


def _mean_and_deviation(mean: str, deviation: str, values: Sequence[float]) -> dict[str, float]:
    return {mean: _mean(values), deviation: stdev(values) if len(values) > 1 else float("nan")}


def _most(verdicts: Sequence[str]) -> str:
    """The verdict of most runs, and of how many where they differ."""
    if not verdicts:
        return ""
    most = max(verdicts, key=verdicts.count)
    n = verdicts.count(most)
    return most if n == len(verdicts) else f"{most} ({n} of {len(verdicts)})"


def training_macs(run: Run) -> float | None:
    """Multiply-accumulates of the convolutions and dense layers of a training so far: three forward passes a picture.

    None for a loop of somebody's own, or where the data's size is not known.
    """
    config = settings_of(run.config) if run.source == "train" else None
    data = data_shape(config.data) if config else None
    if config is None or data is None or run.progress.epoch is None:
        return None
    forward = n_macs(config.model, data.shape, data.n_classes)
    return float(_BACKWARD * forward * data.n_train * run.progress.epoch)


def decay_difference(profile: pd.DataFrame, reference: int, align: Align = "depth") -> pd.DataFrame:
    """By how many decades each layer of a run lies above (or below) the reference, layer by layer.

    Args:
        profile: `gradscope.store.read.profile`, or `gradscope.analysis.pooling.pooled_profile`.
        reference: the run, or group, that is subtracted.
        align: `layer`: from the layer of the same index; `depth`: from the reference's value at the same relative
            depth, on the straight line between its two layers around it (on the log axis).

    Returns:
        Columns: run, layer, name, depth, decades (log10 rms - log10 rms of the reference), rms, reference (its RMS
        there). Layers that have no place on a log axis, in the run or in the reference, are left out; so are those
        beyond the reference's last.
    """
    usable = profile[np.isfinite(profile["rms"]) & (profile["rms"] > 0)]
    base = usable[usable["run"] == reference].sort_values(align)
    parts = [_less(own, base, align) for run, own in usable.groupby("run", sort=False) if run != reference]
    filled = [part for part in parts if len(part)]
    return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=DIFFERENCE_COLUMNS)


def layer_beside(layers: pd.DataFrame, run: int, name: str, align: Align = "depth") -> tuple[int, str] | None:
    """The layer of a run that stands beside one of another run: of the same name, else at the same place.

    Args:
        layers: `gradscope.store.read.layers` of the runs.
        run: whose layer is looked for.
        name: of a layer of one of the runs.
        align: which place is the same where no layer of the run has that name; by `depth` the nearest one.

    Returns:
        Its index and name; None where the run has none there.
    """
    own, like = layers[layers["run"] == run], layers[layers["name"] == name]
    if own.empty or like.empty:
        return None
    named = own[own["name"] == name]
    if len(named):
        return int(named["layer"].iloc[0]), name
    gap = (own[align] - like[align].iloc[0]).abs()
    nearest = own.loc[gap.idxmin()]
    if align == "layer" and gap.min() > 0:
        return None
    return int(nearest["layer"]), str(nearest["name"])


def _less(own: pd.DataFrame, base: pd.DataFrame, align: Align) -> pd.DataFrame:
    if base.empty:
        return pd.DataFrame(columns=DIFFERENCE_COLUMNS)
    at, known = own[align].to_numpy(dtype=np.float64), base[align].to_numpy(dtype=np.float64)
    level = np.interp(at, known, np.log10(base["rms"].to_numpy(dtype=np.float64)), left=np.nan, right=np.nan)
    if align == "layer":
        level = np.where(np.isin(at, known), level, np.nan)  # a layer between two of the reference has none beside it
    decades = np.log10(own["rms"].to_numpy(dtype=np.float64)) - level
    found = own[["run", "layer", "name", "depth", "rms"]].assign(decades=decades, reference=10.0**level)
    beside: pd.DataFrame = found[np.isfinite(decades)].sort_values(align)
    return beside[DIFFERENCE_COLUMNS]
