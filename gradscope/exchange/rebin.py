"""Histograms with edges of their own, laid into the bins that all histograms here share."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradscope import histogram

Numbers = NDArray[np.float64]

_INNER_EDGES = 2.0 ** histogram.edges_log2()[1:-1]


@dataclass(frozen=True, kw_only=True)
class Buckets:
    """A histogram of K buckets, from left to right, none overlapping another."""

    left: Numbers
    """Shape (K,), their lower edges."""
    right: Numbers
    """Shape (K,), their upper edges; a bucket whose edges are equal holds that value alone."""
    counts: Numbers
    """Shape (K,), at least 0; whole numbers but for histograms that were weighted."""

    def mean_abs(self) -> float:
        """Mean magnitude of values that lie evenly within their buckets; NaN without any."""
        width = self.right - self.left
        spread = (self.right * np.abs(self.right) - self.left * np.abs(self.left)) / np.where(width > 0, 2 * width, 1)
        return _mean(np.where(width > 0, spread, np.abs(self.left)), self.counts)

    def mean_square(self) -> float:
        """Mean square of values that lie evenly within their buckets; NaN without any."""
        return _mean((self.left**2 + self.left * self.right + self.right**2) / 3, self.counts)


def _mean(values: Numbers, counts: Numbers) -> float:
    return float(values @ counts / counts.sum()) if counts.any() else float("nan")


@dataclass(frozen=True, kw_only=True)
class Rebinned:
    """Whole counts that add up to the rounded sum of those of the buckets."""

    counts: histogram.Counts
    """Shape (gradscope.histogram.BINS,)."""
    zeros: int

    @property
    def n(self) -> int:
        """Values in all."""
        return self.zeros + int(self.counts.sum())


def rebin(buckets: Buckets) -> Rebinned:
    """The buckets' counts in the fixed bins of magnitude.

    Values are taken to lie evenly within their bucket, as TensorBoard itself draws them, so a bucket that crosses
    several bins is shared out by width, and one whose edges are ours stays whole. A bucket of the value 0 alone counts
    zeros; one that merely reaches 0 is spread like any other, for nobody can tell zeros from small values in it.
    """
    left, right, counts = buckets.left, buckets.right, buckets.counts
    point = left == right
    zero = point & (left == 0)
    masses = np.zeros(histogram.BINS + 1)
    masses[-1] = counts[zero].sum()
    alone = point & ~zero
    np.add.at(masses, np.searchsorted(_INNER_EDGES, np.abs(left[alone]), side="right"), counts[alone])
    left, right, counts = left[~point], right[~point], counts[~point]
    above = np.clip(right, 0, None) - np.clip(left, 0, None)
    share = above / (right - left)
    masses[:-1] += _spread(np.clip(left, 0, None), np.clip(right, 0, None), counts * share)
    masses[:-1] += _spread(np.clip(-right, 0, None)[::-1], np.clip(-left, 0, None)[::-1], (counts * (1 - share))[::-1])
    whole = _whole(masses)
    return Rebinned(counts=whole[:-1], zeros=int(whole[-1]))


def _spread(low: Numbers, high: Numbers, counts: Numbers) -> Numbers:
    """Shares of the bins in ascending intervals of magnitude: differences of the cumulative count at their edges."""
    kept = high > low
    low, high, counts = low[kept], high[kept], counts[kept]
    if not counts.size:
        return np.zeros(histogram.BINS)
    after = np.cumsum(counts)
    edges = np.column_stack([low, high]).ravel()
    cumulative = np.column_stack([np.concatenate([[0.0], after[:-1]]), after]).ravel()
    at_edges = np.interp(_INNER_EDGES, edges, cumulative)
    return np.diff(np.concatenate([[0.0], at_edges, [after[-1]]]))


def _whole(masses: Numbers) -> histogram.Counts:
    """Whole numbers with the same (rounded) sum: those that lose most by rounding down are rounded up."""
    whole = np.floor(masses).astype(np.int64)
    missing = round(masses.sum()) - int(whole.sum())
    whole[np.argsort(masses - whole, kind="stable")[::-1][:missing]] += 1
    return whole
