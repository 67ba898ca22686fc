"""How the RMS of a run changes from layer to layer: a factor, how sure it is, where it begins, and a verdict in words.

Every number here is about one profile (all layers at one step); `course` follows it over the training.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradscope.analysis.knee import Knee, find_knee
from gradscope.analysis.wording import UNKNOWN, significant

FLAT_DECADES = 1.0
"""A profile whose fitted line changes by less than so many powers of ten from end to end is flat."""

Numbers = NDArray[np.float64]

_NORMAL_95 = 1.959963984540054
"""Quantile of the normal distribution for a two-sided interval of 95 %."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """A straight line through log10 RMS over depth; NaN where fewer than two layers have a place on a log axis."""

    slope: float
    """Decades a unit of depth towards the output."""
    low: float
    """Lower end of the slope's 95 % confidence interval."""
    high: float
    """Upper end."""
    intercept: float
    """log10 RMS of the line at depth 0."""
    r2: float
    """Share of the variance of log10 RMS that the line explains, at most 1; NaN where there is none to explain."""


@dataclass(frozen=True, kw_only=True)
class Decay:
    """What a profile says: the line through all layers, where it breaks, and what that means."""

    line: Line
    factor: float
    """By what the RMS is multiplied at each layer on the way from the output to the input; NaN if it cannot be told."""
    factor_low: float
    """Lower end of the factor's 95 % confidence interval."""
    factor_high: float
    """Upper end."""
    half_depth: float
    """Layers over which the RMS halves (or doubles) towards the input; infinite where the line is level."""
    knee: Knee | None
    """Where the profile breaks into two lines; None if one describes it as well."""
    verdict: str
    """Such as `flat`, `vanishing from fc7 down`, `exploding`."""

    @property
    def slope(self) -> float:
        """Decades a layer towards the output."""
        return self.line.slope

    @property
    def intercept(self) -> float:
        """log10 RMS of the line at layer 0."""
        return self.line.intercept

    @property
    def r2(self) -> float:
        """Share of the variance that the line explains."""
        return self.line.r2


def of_profile(profile: pd.DataFrame, by: str = "layer") -> Decay:
    """The decay of one run at one step.

    Args:
        profile: the rows of one run of `gradscope.store.read.profile`: layer, name, n, rms, nan, pos_inf, neg_inf.
        by: what depth is: `layer` (the index), or `depth` (0 at the input, 1 at the output), in which case factor and
            half-depth are for the whole network and networks of any depth compare.
    """
    measured = profile[profile["n"] > 0].sort_values("layer")
    depth = measured[by].to_numpy(dtype=np.float64)
    rms = measured["rms"].to_numpy(dtype=np.float64)
    line = fit(depth, rms)
    broken = int((measured[["nan", "pos_inf", "neg_inf"]].sum(axis=1) > 0).sum())
    verdict = f"not finite in {_layers(broken)}" if broken else _verdict(measured["name"].tolist(), depth, rms, line)
    return Decay(
        line=line,
        factor=10.0**-line.slope,
        factor_low=10.0**-line.high,
        factor_high=10.0**-line.low,
        half_depth=half_depth(line.slope),
        knee=find_knee(*_on_log_axis(depth, rms)),
        verdict=verdict,
    )


def half_depth(slope: float) -> float:
    """Units of depth over which a quantity that changes by so many decades a unit halves or doubles.

    >>> round(half_depth(0.1), 2), half_depth(0.0)
    (3.01, inf)
    """
    return float(np.log10(2.0) / abs(slope)) if slope else float("inf")


def fit(depth: Numbers, rms: Numbers) -> Line:
    """Line through (depth, log10 rms) that one odd layer does not bend.

    The slope is the median of the slopes of all pairs of layers (Theil 1950), its interval what the ranks of those
    slopes leave open (Sen 1968, section 4, without ties), and the intercept the median of the remainders. Layers whose
    RMS is zero or not finite have no place on a log axis and are left out.
    """
    x, y = _on_log_axis(depth, rms)
    if x.size < 2:
        nan = float("nan")
        return Line(slope=nan, low=nan, high=nan, intercept=nan, r2=nan)
    i, j = np.triu_indices(x.size, k=1)
    slopes = np.sort((y[j] - y[i]) / (x[j] - x[i]))
    slope = float(np.median(slopes))
    low, high = _interval(slopes, x.size)
    intercept = float(np.median(y - slope * x))
    spread = float(np.sum((y - y.mean()) ** 2))
    rest = float(np.sum((y - slope * x - intercept) ** 2))
    return Line(slope=slope, low=low, high=high, intercept=intercept, r2=1 - rest / spread if spread > 0 else np.nan)


def _on_log_axis(depth: Numbers, rms: Numbers) -> tuple[Numbers, Numbers]:
    usable = np.isfinite(rms) & (rms > 0)
    return depth[usable], np.log10(rms[usable])


def _interval(slopes: Numbers, n: int) -> tuple[float, float]:
    """Of the sorted slopes of all pairs of n points, those that the 95 % interval ends at."""
    half = _NORMAL_95 * np.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    middle = (slopes.size - 1) / 2
    first, last = int(np.floor(middle - half)), int(np.ceil(middle + half))
    return float(slopes[max(first, 0)]), float(slopes[min(last, slopes.size - 1)])


def bends(decay: Decay, first: float, last: float) -> list[tuple[float, float]]:
    """The fitted line from depth first to last as corners (depth, log10 RMS): its ends, and the knee between them."""
    knee = decay.knee
    if knee is not None:
        start = knee.level + knee.slope_below * (first - knee.at)
        return [(first, start), (knee.at, knee.level), (last, knee.level + knee.slope_above * (last - knee.at))]
    if not np.isfinite(decay.slope):
        return []
    return [(depth, decay.intercept + decay.slope * depth) for depth in (first, last)]


def in_words(decay: Decay, names: Sequence[str] | Mapping[int, str]) -> str:
    """How the RMS runs from the output to the input, such as `flat until fc7, then x0.31 a layer`.

    Args:
        decay: of a profile by layer.
        names: of the layers by index.
    """
    knee = decay.knee
    if knee is None:
        # what is level from one layer to the next may come to decades over fifty of them
        return _a_layer(decay.factor) if decay.verdict == "flat" else _times(decay.factor)
    above, below = _a_layer(knee.factor_above), _a_layer(knee.factor_below)
    return above if above == below else f"{above} until {names[round(knee.at)]}, then {below}"


def _a_layer(factor: float) -> str:
    return "flat" if abs(np.log10(factor)) < 0.05 else _times(factor)


def _times(factor: float) -> str:
    return UNKNOWN if np.isnan(factor) else f"\N{MULTIPLICATION SIGN}{significant(factor)} a layer"


def course(statistics: pd.DataFrame, by: str = "layer") -> pd.DataFrame:
    """The decay of one run at every recorded step.

    Args:
        statistics: `gradscope.store.read.layer_map` of one run.
        by: see `of_profile`.

    Returns:
        Columns: step, factor, factor_low, factor_high, half_depth, r2, knee (depth, NaN if none), verdict.
    """
    columns = ["step", "factor", "factor_low", "factor_high", "half_depth", "r2", "knee", "verdict"]
    found = [(step, of_profile(rows, by)) for step, rows in statistics.groupby("step")]
    rows = [
        (step, d.factor, d.factor_low, d.factor_high, d.half_depth, d.r2, d.knee.at if d.knee else np.nan, d.verdict)
        for step, d in found
    ]
    return pd.DataFrame(rows, columns=columns)


def _verdict(names: list[str], depth: Numbers, rms: Numbers, line: Line) -> str:
    zeros = int((rms == 0).sum())
    if zeros and zeros == rms.size:
        return "zero in every layer"
    if zeros:
        return f"zero in {_layers(zeros)}"
    if not np.isfinite(line.slope):
        return "too few layers to tell"
    change = line.slope * (depth[-1] - depth[0])
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
