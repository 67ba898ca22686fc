"""Statistics of tensors in CPU memory, by the compiled kernel and all of PyTorch's threads."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradscope.histogram import BINS
from gradscope.native import run
from gradscope.recorder import kernel
from gradscope.recorder.statistics import COUNTS, MAX_ABS, SUM_ABS, SUM_SQUARES, WIDTH, ZEROS, N, Rows

TYPES = frozenset({torch.float32, torch.float64})
"""Of the elements that are read as they are."""


@dataclass(frozen=True)
class _Plan:
    """How tensors of given sizes are cut into C chunks."""

    chunks: NDArray[np.int64]
    """Shape (C, 4): byte offset in its tensor, elements, 1 if float64, row of its tensor."""
    first: NDArray[np.int64]
    """Index of each non-empty tensor's first chunk."""
    filled: NDArray[np.int64]
    """Rows of the non-empty tensors."""
    elements: int


@lru_cache(maxsize=256)
def _plan(sizes: tuple[tuple[int, bool], ...]) -> _Plan:
    chunks = [
        (start * (8 if double else 4), min(kernel.CHUNK, n - start), double, row)
        for row, (n, double) in enumerate(sizes)
        for start in range(0, n, kernel.CHUNK)
    ]
    table = np.array(chunks, np.int64).reshape(-1, 4)
    filled, first = np.unique(table[:, 3], return_index=True)
    return _Plan(table, first, filled, sum(n for n, _ in sizes))


@dataclass(frozen=True)
class Counted:
    """What the kernel found, to be put into rows when there is time."""

    plan: _Plan
    sizes: tuple[tuple[int, bool], ...]
    sums: NDArray[np.float64]
    """Shape (C, 3): sum of squares, sum of magnitudes and largest magnitude of each chunk."""
    counts: NDArray[np.int64]
    """Shape (T, N_COUNTS)."""

    def rows(self) -> Rows:
        """One row for each tensor: shape (T, WIDTH)."""
        rows = np.zeros((len(self.sizes), WIDTH))
        rows[:, N] = [n for n, _ in self.sizes]
        rows[:, ZEROS:] = self.counts
        if len(self.sums):
            rows[self.plan.filled, SUM_SQUARES : SUM_ABS + 1] = np.add.reduceat(self.sums[:, :2], self.plan.first)
            rows[self.plan.filled, MAX_ABS] = np.maximum.reduceat(self.sums[:, 2], self.plan.first)
        return rows


def measure(tensors: Sequence[Tensor]) -> Counted:
    """Count at once, in the calling thread and PyTorch's others; gives the same rows as `statistics.reference`.

    Args:
        tensors: T contiguous float32 or float64 tensors in CPU memory, of any shape.
    """
    sizes = tuple((t.numel(), t.dtype == torch.float64) for t in tensors)
    plan = _plan(sizes)
    chunks = plan.chunks.copy()
    chunks[:, 0] += np.array([t.data_ptr() for t in tensors], np.int64)[chunks[:, 3]]
    sums = np.zeros((len(chunks), 3))
    counts = np.zeros((len(tensors), kernel.N_COUNTS), np.int64)
    told = (len(chunks), chunks.ctypes.data, sums.ctypes.data, counts.ctypes.data)
    run(kernel.work, told, plan.elements)
    return Counted(plan, sizes, sums, counts)


def beyond(tensor: Tensor, low: float, high: float) -> int:
    """How many elements of a contiguous float32 or float64 tensor in CPU memory lie below `low` or above `high`."""
    return kernel.beyond(tensor.data_ptr(), tensor.numel(), tensor.dtype == torch.float64, low, high)


def encode(rows: Rows) -> list[bytes]:
    """The histograms of T rows as `gradscope.histogram.encode` writes them, without holding up other Python threads."""
    counts = np.ascontiguousarray(rows[:, COUNTS:], dtype=np.int64)
    out = np.empty(counts.shape[0] * (BINS * 9 + 2), np.uint8)
    ends = np.zeros(counts.shape[0], np.int64)
    kernel.encode(counts, out, ends)
    return [out[start:end].tobytes() for start, end in zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True)]
