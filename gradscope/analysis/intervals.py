"""How sure a mean over pictures is."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 2000
LEVEL = 0.95


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
