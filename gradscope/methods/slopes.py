"""The backward pass of a pseudo-normalised tanh or sigmoid in CPU memory: one compiled loop, not seven operations.

A sample's outputs are gone over twice, for the mean square of f' and for the product; the second time they are still in
the processor's cache, so the memory is read as often as by plain tanh. Behind a small layer every call costs more than
its arithmetic, because the matrices have swept the interpreter out of the cache: a small job is a single call.
"""

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
import torch
from numba import carray, types  # type: ignore[attr-defined]
from torch import Tensor, empty, empty_like

from gradscope.native import ALONE, TOLD, add, at, callback, compiled, run, summing

Scope = Literal["sample", "batch"]
"""What one RMS runs over: each sample, or the batch."""

TANH, SIGMOID = 0, 2
"""Which activation it is: one of the bits below."""

SMALLEST_RMS = 1e-12
"""Below this a layer is so saturated that there is no error left to restore; it keeps 0 / 0 from becoming NaN."""

_DOUBLE, _APPLIED, _SQUARES, _PRODUCT, _ONE_ABOVE = 1, 4, 8, 16, 32
"""What is to be done with a row, added up with its activation: of which type it is, whether the product takes the gain,
which of the two goes over it (the gain lies between them), and whether the gain from above is one for the batch. One
number, because each argument of a call costs."""

_TYPES: Mapping[torch.dtype, int] = {torch.float32: 0, torch.float64: _DOUBLE}


_BLOCK = 1024
"""So many elements are summed up in their own type, which takes half the time; the sums of blocks are in float64."""


@summing
def _squares(y: Any, what: int) -> float:
    """Sum of f'^2 over outputs y = f(z)."""
    total = 0.0
    one = y.dtype.type(1)
    for begin in range(0, y.size, _BLOCK):
        block = y[begin : begin + _BLOCK]
        sum_ = y.dtype.type(0)
        for i in range(block.size):
            slope = block[i] * (one - block[i]) if what & SIGMOID else one - block[i] * block[i]
            sum_ += slope * slope
        total += np.float64(sum_)
    return total


@compiled
def _multiply(y: Any, error: Any, out: Any, gain: float, what: int) -> None:
    """Fill in the error times f' and the gain."""
    one, factor = y.dtype.type(1), y.dtype.type(gain)
    for i in range(y.size):
        slope = y[i] * (one - y[i]) if what & SIGMOID else one - y[i] * y[i]
        out[i] = error[i] * slope * factor


@compiled
def _gain(squares: float, n: int) -> float:
    r = np.sqrt(squares / n)
    return 1 / (SMALLEST_RMS if r < SMALLEST_RMS else r)  # NaN stays NaN


@compiled
def _go_over(y: Any, error: Any, out: Any, gains: Any, above: Any, what: int) -> None:
    """One sample's elements, by what is to be done with them.

    Its gain is the last of `gains`, which are empty where nobody asks; what comes from above is the last of `above`.
    """
    gain = np.float64(gains[gains.size - 1]) if gains.size else 1.0
    if what & _SQUARES:
        gain = _squares(y, what)
        if what & _PRODUCT:
            gain = _gain(gain, y.size)
        if gains.size:
            gains[gains.size - 1] = gain
    if what & _PRODUCT:
        factor = gain if what & _APPLIED else 1.0
        _multiply(y, error, out, factor * np.float64(above[above.size - 1]) if above.size else factor, what)


@compiled
def _row(row: int, n: int, what: int, saved: int, error: int, out: int, gains: int, above: int) -> None:
    """Go over the outputs of one sample; `gains`, unless 0, holds their sums of squares until the gain is known."""
    known, come = (row + 1 if gains else 0), ((1 if what & _ONE_ABOVE else row + 1) if above else 0)
    if what & _DOUBLE:
        start = 8 * n * row
        y, e = carray(at(saved + start, types.float64), n), carray(at(error + start, types.float64), n)
        o, g = carray(at(out + start, types.float64), n), carray(at(gains, types.float64), known)
        _go_over(y, e, o, g, carray(at(above, types.float64), come), what)
    else:
        start = 4 * n * row
        y32, e32 = carray(at(saved + start, types.float32), n), carray(at(error + start, types.float32), n)
        o32, g32 = carray(at(out + start, types.float32), n), carray(at(gains, types.float32), known)
        _go_over(y32, e32, o32, g32, carray(at(above, types.float32), come), what)


@compiled
def _all_rows(rows: int, n: int, what: int, saved: int, error: int, out: int, gains: int, above: int) -> None:
    for row in range(rows):
        _row(row, n, what, saved, error, out, gains, above)


@callback
def _drawn_rows(job: int) -> None:
    """What each thread does: draw rows until there are none."""
    told = carray(at(job + TOLD, types.int64), 8)
    row = add(job, 1)
    while row < told[0]:
        _row(row, told[1], told[2], told[3], told[4], told[5], told[6], told[7])
        row = add(job, 1)


@compiled
def _one_gain(gains: int, rows: int, elements: int, what: int) -> None:
    """From the sums of the rows the gain of them all, put into each."""
    if what & _DOUBLE:
        found = carray(at(gains, types.float64), rows)
        found[:] = _gain(found.sum(), elements)
    else:
        found32 = carray(at(gains, types.float32), rows)
        found32[:] = _gain(found32.astype(np.float64).sum(), elements)


def treat(
    saved: Tensor,
    error: Tensor,
    kind: int,
    scope: Scope,
    *,
    applied: bool,
    told: bool = True,
    above: Tensor | None = None,
) -> tuple[Tensor, Tensor | None] | None:
    """The error times f', times the gain where that is applied, and times the gain that comes from above.

    Args:
        saved: f(z), [B, ...].
        error: [B, ...].
        kind: TANH or SIGMOID.
        scope: what one RMS runs over.
        applied: whether the error takes the gain with it.
        told: whether anybody asks for the gain.
        above: the gain of another layer, which the error takes too, [B] or [1].

    Returns:
        The new error [B, ...], and the gain 1 / RMS(f') of the same type, [B] or [1], perhaps None where nobody asks.
        Or None: of another type, in other memory or order than the loop can take.
    """
    dtype = saved.dtype
    type_ = _TYPES.get(dtype)
    if type_ is None or not (_fit(saved, error) and (above is None or above.dtype is dtype)):
        return None
    out = empty_like(error)
    rows, elements = saved.shape[0], saved.numel()
    one_gain = scope == "batch" and (told or applied)
    gains = empty(rows, dtype=dtype) if told or one_gain else None
    what = type_ | kind | (_APPLIED if applied else 0)
    job = saved.data_ptr(), error.data_ptr(), out.data_ptr(), 0 if gains is None else gains.data_ptr(), 0
    if above is not None:
        job, what = (*job[:4], above.data_ptr()), what | (_ONE_ABOVE if above.numel() == 1 else 0)
    if not one_gain or gains is None:
        _go(rows, elements, what | _PRODUCT | (_SQUARES if told or applied else 0), job)
        return out, gains
    _go(rows, elements, what | _SQUARES, job)
    _one_gain(job[3], rows, elements, what)
    _go(rows, elements, what | _PRODUCT, job)
    return out, gains[:1]


def _fit(saved: Tensor, error: Tensor) -> bool:
    """Whether both lie in CPU memory sample by sample and in the same order within each."""
    return (
        type(saved) is type(error) is Tensor
        and saved.dtype is error.dtype
        and saved.is_cpu
        and (
            (saved.is_contiguous() and error.is_contiguous()) or (_is_channels_last(saved) and _is_channels_last(error))
        )
        and saved.numel() > 0
    )


def _is_channels_last(t: Tensor) -> bool:
    return t.dim() == 4 and t.is_contiguous(memory_format=torch.channels_last)


def _go(rows: int, elements: int, what: int, job: tuple[int, int, int, int, int]) -> None:
    if elements <= ALONE:
        _all_rows(rows, elements // rows, what, *job)
    else:
        run(_drawn_rows, (rows, elements // rows, what, *job), elements)
