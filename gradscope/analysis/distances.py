"""How far apart two histograms of magnitudes are."""

import numpy as np
from numpy.typing import NDArray

from gradscope import histogram

_DECADES_A_BIN = np.log10(2.0) * (histogram.edges_log2()[1] - histogram.edges_log2()[0])


def wasserstein_decades(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    r"""Wasserstein distance between the magnitudes of two histograms, in decades.

        W_1 = integral |F(t) - G(t)| dt over t = log10 |x|,

    the mean way that one distribution's values have to go on a log axis to become the other's: 1 means that they are,
    on the whole, ten times larger or smaller. Both histograms have the same edges, so it is the sum of the differences
    of the cumulated shares, exact up to where in its bin (0.15 decades wide) a value lies. Zeros, and what is not
    finite, are in no bin and do not count.

    Args:
        first: shape (gradscope.histogram.BINS,).
        second: the same.

    Returns:
        At least 0; NaN where one of them is empty.

    Source:
        Vallender (1974), "Calculation of the Wasserstein distance between probability distributions on the line".

    >>> values = np.random.default_rng(0).normal(size=1000)
    >>> round(wasserstein_decades(histogram.count(values), histogram.count(values * 1024)), 2)
    3.01
    """
    if not first.any() or not second.any():
        return float("nan")
    gap = np.cumsum(first) / first.sum() - np.cumsum(second) / second.sum()
    return float(np.abs(gap).sum() * _DECADES_A_BIN)


def median_log2(counts: NDArray[np.int64]) -> float:
    """The magnitude that half of the values lie below, as log2 |x|, spread evenly over its bin; NaN if there are none.

    >>> round(median_log2(histogram.count(np.array([0.25, 0.3, 0.35]))), 2)
    -1.75
    """
    if not counts.any():
        return float("nan")
    below = np.cumsum(counts)
    half = below[-1] / 2
    at = int(np.searchsorted(below, half))
    inside = (half - (below[at] - counts[at])) / counts[at]
    edges = histogram.edges_log2()
    return float(edges[at] + inside * (edges[at + 1] - edges[at]))
