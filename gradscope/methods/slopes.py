"""The backward pass of a pseudo-normalised tanh or sigmoid in CPU memory: one compiled loop, not seven operations.

A sample's outputs are gone over twice, for the mean square of f' and for the product; the second time they are still in
the processor's cache, so the memory is read as often as by plain tanh. Behind a small layer every call costs more than
its arithmetic, because the matrices have swept the interpreter out of the cache: a small job is a single call.
"""

from typing import Any, Literal

import numpy as np
import torch
from numba import carray, types  # type: ignore[attr-defined]
from torch import Tensor

from gradscope.native import ALONE, add, at, callback, compiled, run, summing

TANH, SIGMOID = 0, 1
"""Which activation it is."""

SMALLEST_RMS = 1e-12
"""Below this a layer is so saturated that there is no error left to restore; it keeps 0 / 0 from becoming NaN."""

_DOUBLE = {torch.float32: 0, torch.float64: 1}
_SQUARES, _PRODUCT = 1, 2
"""What is to be done with a row, in any combination; the gain lies between the two."""


@summing
def _squares(y: Any, kind: int) -> float:
    """Sum of f'^2 over outputs y = f(z)."""
    total = 0.0
    one = y.dtype.type(1)
    for i in range(y.size):
        slope = one - y[i] * y[i] if kind == TANH else y[i] * (one - y[i])
        total += np.float64(slope * slope)
    return total


@compiled
def _multiply(y: Any, error: Any, out: Any, gain: float, kind: int) -> None:
    """Fill in the error times f' and the gain."""
    one, factor = y.dtype.type(1), y.dtype.type(gain)
    for i in range(y.size):
        slope = one - y[i] * y[i] if kind == TANH else y[i] * (one - y[i])
        out[i] = error[i] * slope * factor


@compiled
def _gain(squares: float, n: int) -> float:
    r = np.sqrt(squares / n)
    return 1 / (SMALLEST_RMS if r < SMALLEST_RMS else r)  # NaN stays NaN


@compiled
def _row(
    row: int, saved: int, error: int, out: int, gains: int, double: int, n: int, kind: int, applied: int, parts: int
) -> None:
    """Go over the outputs of one sample; `gains` holds their sums of squares until the gain is known."""
    found = carray(at(gains + 8 * row, types.float64), 1)
    # written out for either type: one more call for each row makes a small layer's loop a tenth slower
    if double:
        start = 8 * n * row
        y = carray(at(saved + start, types.float64), n)
        if parts & _SQUARES:
            found[0] = _squares(y, kind)
        if parts == _SQUARES | _PRODUCT:
            found[0] = _gain(found[0], n)
        if parts & _PRODUCT:
            e, o = carray(at(error + start, types.float64), n), carray(at(out + start, types.float64), n)
            _multiply(y, e, o, found[0] if applied else 1.0, kind)
    else:
        start = 4 * n * row
        y32 = carray(at(saved + start, types.float32), n)
        if parts & _SQUARES:
            found[0] = _squares(y32, kind)
        if parts == _SQUARES | _PRODUCT:
            found[0] = _gain(found[0], n)
        if parts & _PRODUCT:
            e32, o32 = carray(at(error + start, types.float32), n), carray(at(out + start, types.float32), n)
            _multiply(y32, e32, o32, found[0] if applied else 1.0, kind)


@compiled
def _all_rows(
    rows: int, saved: int, error: int, out: int, gains: int, double: int, n: int, kind: int, applied: int, parts: int
) -> None:
    for row in range(rows):
        _row(row, saved, error, out, gains, double, n, kind, applied, parts)


@callback
def _drawn_rows(pointer: Any) -> None:
    """What each thread does: draw rows until there are none."""
    job = carray(pointer, 11)
    row = add(job[0], 1)
    while row < job[1]:
        _row(row, job[2], job[3], job[4], job[5], job[6], job[7], job[8], job[9], job[10])
        row = add(job[0], 1)


@compiled
def _one_gain(gains: int, rows: int, n: int) -> None:
    """From the sums of the rows the gain of them all, put into each."""
    found = carray(at(gains, types.float64), rows)
    found[:] = _gain(found.sum(), rows * n)


def fits(saved: Tensor, error: Tensor) -> bool:
    """Whether both [B, ...] lie in memory sample by sample and in the same order within each."""
    same = saved.dtype == error.dtype and saved.dtype in _DOUBLE and saved.stride() == error.stride()
    plain = type(saved) is Tensor and type(error) is Tensor
    return same and plain and saved.numel() > 0 and (saved.is_contiguous() or _is_channels_last(saved))


def _is_channels_last(t: Tensor) -> bool:
    return t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last)


def treat(
    saved: Tensor, error: Tensor, kind: int, scope: Literal["sample", "batch"], applied: bool
) -> tuple[Tensor, Tensor]:
    """The error times f', and times the gain where that is applied.

    Args:
        saved: f(z), [B, ...]; it and the error fit, see `fits`.
        error: [B, ...].
        kind: TANH or SIGMOID.
        scope: what one RMS runs over: each sample, or the batch.
        applied: whether the error takes the gain with it.

    Returns:
        The new error [B, ...], and the gain 1 / RMS(f'): float64, [B] or [1].
    """
    rows, elements = len(saved), saved.numel()
    out, gains = torch.empty_like(error), torch.empty(rows, dtype=torch.float64)
    addresses = saved.data_ptr(), error.data_ptr(), out.data_ptr(), gains.data_ptr()
    rest = _DOUBLE[saved.dtype], elements // rows, kind, applied
    if scope == "sample":
        _go(rows, elements, *addresses, *rest, _SQUARES | _PRODUCT)
        return out, gains
    _go(rows, elements, *addresses, *rest, _SQUARES)
    _one_gain(addresses[3], rows, elements // rows)
    _go(rows, elements, *addresses, *rest, _PRODUCT)
    return out, gains[:1]


def _go(rows: int, elements: int, *job: int) -> None:
    if elements <= ALONE:
        _all_rows(rows, *job)
    else:
        counter = np.zeros(1, np.int64)
        run(_drawn_rows, np.array([counter.ctypes.data, rows, *job], np.int64), elements)
