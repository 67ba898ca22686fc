"""What is known of a tensor after one pass over it: a row of sums and counts, and the plain PyTorch way to get it.

A row is WIDTH float64 numbers (all counts stay far below 2^53, so they are exact). Rows of the same layer add up: the
row of two tensors taken together is the sum of their rows, with the larger of the two maxima.
"""

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradscope import histogram
from gradscope.records import Kind, LayerStats

N, SUM_SQUARES, SUM_ABS, MAX_ABS, ZEROS, NAN, POS_INF, NEG_INF, COUNTS = range(9)
"""Columns of a row; the histogram's bins follow from COUNTS on."""

WIDTH = COUNTS + histogram.BINS

Rows = NDArray[np.float64]


def reference(tensors: Sequence[Tensor]) -> Tensor:
    """One row for each tensor, by plain PyTorch: slow, obvious, on any device that knows float64, never waiting for it.

    Args:
        tensors: T real floating-point tensors of any shape on one device.

    Returns:
        Shape (T, WIDTH), float64, on that device. The moments are over the finite elements, summed in float64: in
        float32 the square of anything below 1e-23 is 0.
    """
    return torch.stack([_row(t) for t in tensors])


def _row(tensor: Tensor) -> Tensor:
    x = tensor.detach().double().flatten()
    finite = x.isfinite()
    size = torch.where(finite, x.abs(), 0.0)
    row = x.new_zeros(WIDTH)
    row[N] = x.numel()
    row[SUM_SQUARES] = size.square().sum()
    row[SUM_ABS] = size.sum()
    row[MAX_ABS] = size.max() if x.numel() else 0.0
    row[ZEROS] = (x == 0).sum()
    row[NAN] = x.isnan().sum()
    row[POS_INF] = x.isposinf().sum()
    row[NEG_INF] = x.isneginf().sum()
    row[COUNTS:].scatter_add_(0, _bins(size), ((size > 0) & finite).double())
    return row


def _bins(size: Tensor) -> Tensor:
    """Bin of each magnitude, as `gradscope.histogram.count` defines it; shape and device of `size`, int64."""
    mantissa, exponent = torch.frexp(size)
    index = 2 * (exponent.long() - 1 - histogram.LOWEST) + (mantissa >= math.sqrt(0.5))
    return index.clamp_(0, histogram.BINS - 1)


def add_rows(to: Rows, layers: Sequence[int], rows: Rows) -> None:
    """Add T rows to those of the layers they belong to, in place.

    Args:
        to: shape (L, WIDTH).
        layers: T indices in 0..L-1; rows with the same index add up.
        rows: shape (T, WIDTH).
    """
    largest = to[:, MAX_ABS].copy()
    np.maximum.at(largest, layers, rows[:, MAX_ABS])
    if len(set(layers)) == len(layers):
        to[layers] += rows
    else:
        np.add.at(to, layers, rows)
    to[:, MAX_ABS] = largest


def divided(rows: Rows, scale: float) -> Rows:
    """The rows that tensors 1 / scale as large would have.

    Histograms move by whole bins: exactly where the scale is a power of two, as gradient scaling's are, else to the
    nearest half-octave.

    Args:
        rows: shape (T, WIDTH); stays as it is.
        scale: above 0.
    """
    smaller = rows.copy()
    smaller[:, SUM_SQUARES] /= scale**2
    smaller[:, SUM_ABS : MAX_ABS + 1] /= scale
    bins = np.clip(np.arange(histogram.BINS) - round(2 * math.log2(scale)), 0, histogram.BINS - 1)
    smaller[:, COUNTS:] = 0.0
    np.add.at(smaller.T, COUNTS + bins, rows[:, COUNTS:].T)
    return smaller


def layer_stats(
    row: Rows,
    *,
    step: int,
    layer: int,
    kind: Kind,
    blob: bytes,
    saturated: float | None = None,
    dead: float | None = None,
) -> LayerStats:
    """A row as the record that is stored; `blob` is its encoded histogram."""
    n, squares, sizes, largest, zeros, nan, pos_inf, neg_inf = row[:COUNTS].tolist()
    finite = n - nan - pos_inf - neg_inf
    return LayerStats(
        step=step,
        layer=layer,
        kind=kind,
        n=int(n),
        rms=_finite(math.sqrt(squares / finite)) if finite else None,
        mean_abs=_finite(sizes / finite) if finite else None,
        max_abs=largest if finite else None,
        zeros=int(zeros),
        nan=int(nan),
        pos_inf=int(pos_inf),
        neg_inf=int(neg_inf),
        saturated=saturated,
        dead=dead,
        histogram=blob if n else None,
    )


def _finite(value: float) -> float | None:
    """None for a moment that overflowed (float64 elements beyond 1e150)."""
    return value if math.isfinite(value) else None
