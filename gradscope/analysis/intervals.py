"""How sure a mean over pictures, or over seeds, is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95

_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
"""97.5 % quantiles of Student's t: half widths in standard errors for a mean of 2, 3, ..., 31 values."""
_Z = 1.959964
"""The same of many values."""


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean with its bootstrap interval; NaN where there is no value."""

    mean: float
    low: float
    high: float
    n: int
    """Values that are finite, of which the mean was taken."""


def bootstrap(values: NDArray[np.floating], seed: int = 0) -> Interval:
    """Mean of [N] values and its 95 % percentile interval over 2,000 resamples (Efron 1979).

    The pictures are what is drawn anew: the interval says how far the mean would move on other pictures of the same
    kind, not on another training of the same network. Values that are not finite are left out and not counted.

    >>> found = bootstrap(np.array([0.2, 0.4, np.nan]))
    >>> round(found.mean, 3), found.low, found.high, found.n
    (0.3, 0.2, 0.4, 2)
    """
    finite = values[np.isfinite(values)].astype(np.float64)
    if not finite.size:
        return Interval(mean=float("nan"), low=float("nan"), high=float("nan"), n=0)
    drawn = np.random.default_rng(seed).integers(0, finite.size, (RESAMPLES, finite.size))
    means = finite[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(mean=float(finite.mean()), low=float(low), high=float(high), n=finite.size)


def paired(first: NDArray[np.floating], second: NDArray[np.floating], seed: int = 0) -> Interval:
    """Mean of second - first over the same pictures, both [N], with its interval: narrower than two apart."""
    return bootstrap(np.asarray(second, np.float64) - np.asarray(first, np.float64), seed)


def of_mean(values: Sequence[float] | NDArray[np.floating]) -> Interval:
    """Mean of a few values with Student's 95 % interval; low and high are NaN below two values.

    For seeds: the interval says how far the mean would move with other seeds. Values that are not finite are left out
    and not counted.

    >>> found = of_mean([0.5, 0.6, 0.7])
    >>> round(found.mean, 3), round(found.low, 3), round(found.high, 3), found.n
    (0.6, 0.352, 0.848, 3)
    """
    given = np.asarray(values, dtype=np.float64)
    finite = given[np.isfinite(given)]
    if not finite.size:
        return Interval(mean=math.nan, low=math.nan, high=math.nan, n=0)
    quantile = _T[finite.size - 2] if 2 <= finite.size < len(_T) + 2 else _Z
    half = quantile * float(finite.std(ddof=1)) / math.sqrt(finite.size) if finite.size > 1 else math.nan
    mean = float(finite.mean())
    return Interval(mean=mean, low=mean - half, high=mean + half, n=finite.size)
