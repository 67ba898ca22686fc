"""How the RMS of a run changes from layer to layer: a factor, how well it fits, and a verdict in words."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FLAT_DECADES = 1.0
"""A profile whose fitted line changes by less than so many powers of ten from end to end is flat."""

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Decay:
    """A straight line through log10 RMS over the layers, and what it means."""

    factor: float
    """By what the RMS is multiplied at each layer on the way from the output to the input; NaN if it cannot be told."""
    r2: float
    """Share of the variance of log10 RMS that the line explains, at most 1; NaN where there is none to explain."""
    slope: float
    """Decades a layer towards the output."""
    intercept: float
    """log10 RMS of the line at layer 0."""
    verdict: str
    """Such as `flat`, `vanishing from fc7 down`, `exploding`."""


def of_profile(profile: pd.DataFrame) -> Decay:
    """The decay of one run at one step.

    Args:
        profile: the rows of one run of `gradscope.store.read.profile`: layer, name, n, rms, nan, pos_inf, neg_inf.
    """
    measured = profile[profile["n"] > 0].sort_values("layer")
    layer = measured["layer"].to_numpy(dtype=np.float64)
    rms = measured["rms"].to_numpy(dtype=np.float64)
    slope, intercept, r2 = fit(layer, rms)
    broken = int((measured[["nan", "pos_inf", "neg_inf"]].sum(axis=1) > 0).sum())
    verdict = f"not finite in {_layers(broken)}" if broken else _verdict(measured["name"].tolist(), layer, rms, slope)
    return Decay(factor=10.0**-slope, r2=r2, slope=slope, intercept=intercept, verdict=verdict)


def fit(layer: Numbers, rms: Numbers) -> tuple[float, float, float]:
    """Line through (layer, log10 rms) that one odd layer does not bend: slope, intercept, R2.

    The slope is the median of the slopes of all pairs of layers, the intercept the median of what it leaves
    (Theil 1950, Sen 1968). Layers whose RMS is zero or not finite have no place on a log axis and are left out.
    NaN for all three with fewer than two layers.
    """
    usable = np.isfinite(rms) & (rms > 0)
    x, y = layer[usable], np.log10(rms[usable])
    if x.size < 2:
        return float("nan"), float("nan"), float("nan")
    i, j = np.triu_indices(x.size, k=1)
    slope = float(np.median((y[j] - y[i]) / (x[j] - x[i])))
    intercept = float(np.median(y - slope * x))
    spread = float(np.sum((y - y.mean()) ** 2))
    rest = float(np.sum((y - slope * x - intercept) ** 2))
    return slope, intercept, 1 - rest / spread if spread > 0 else float("nan")


def _verdict(names: list[str], layer: Numbers, rms: Numbers, slope: float) -> str:
    zeros = int((rms == 0).sum())
    if zeros and zeros == rms.size:
        return "zero in every layer"
    if zeros:
        return f"zero in {_layers(zeros)}"
    if not np.isfinite(slope):
        return "too few layers to tell"
    change = slope * (layer[-1] - layer[0])
    if abs(change) < FLAT_DECADES:
        return "flat"
    word = "vanishing" if change > 0 else "exploding"
    start = _starts_at(np.log10(rms), sign=1.0 if change > 0 else -1.0)
    return word if start is None else f"{word} from {names[start]} down"


def _starts_at(log_rms: Numbers, sign: float) -> int | None:
    """The layer nearest the output from which on all lie more than a decade off the level at the output.

    The level is the median of the three last layers, since the very last one often sits apart (its activation does).
    """
    level = np.nanmedian(log_rms[-3:])
    off = sign * (level - log_rms) > FLAT_DECADES
    count = int(np.argmin(off)) if not off.all() else off.size
    return count - 1 if count else None


def _layers(count: int) -> str:
    return "1 layer" if count == 1 else f"{count} layers"


def worst_layer(profile: pd.DataFrame) -> tuple[str, float] | None:
    """Name of the layer with the lowest RMS, and that RMS over the median of the layers; None if nothing is known.

    Args:
        profile: the rows of one run of `gradscope.store.read.profile`.
    """
    known = profile[profile["rms"].notna()]
    if known.empty:
        return None
    rms = known["rms"].to_numpy(dtype=np.float64)
    lowest, median = int(rms.argmin()), float(np.median(rms))
    return str(known["name"].iloc[lowest]), float(rms[lowest]) / median if median > 0 else 0.0
