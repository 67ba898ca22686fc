"""The Triton code behind `gradscope.recorder.cuda`: every number of a row in one pass over the memory.

Values are looked at as the bits a of their magnitude, so that nothing depends on how a GPU compares NaN or rounds the
smallest numbers. The largest value has the largest a; that of infinity is known, and NaN's are larger still: whether a
block has either is seen at its largest a, and only then are they counted, with care. With M mantissa bits, and H the
mantissa of the smallest number at or above sqrt(2),

    (a >> M) + ((a + 2^M - H) >> M) = 2 exponent + (mantissa >= H)

is the half-octave of every value but the subnormals, exactly. Sums are taken over float64 values made from the bits.

The bins of a block are counted in a window of SPAN half-octaves that ends at its largest value. What lies below (under
2^-31 of the largest) or is subnormal is rare, and goes to its bin one by one.
"""

import triton
import triton.language as tl

from gradscope import histogram
from gradscope.recorder import statistics

_HALF32, _HALF64 = tl.constexpr(0x3504F4), tl.constexpr(0x6A09E667F3BCD)
_INFINITY32, _INFINITY64 = tl.constexpr(0xFF << 23), tl.constexpr(0x7FF << 52)
_MAGNITUDE32, _MAGNITUDE64 = tl.constexpr((1 << 31) - 1), tl.constexpr((1 << 63) - 1)
_BIN_OF_KEY32, _BIN_OF_KEY64 = (tl.constexpr(-2 * (bias + histogram.LOWEST)) for bias in (127, 1023))
_LAST_BIN = tl.constexpr(histogram.BINS - 1)

_WIDTH = tl.constexpr(statistics.WIDTH)
_N = tl.constexpr(statistics.N)
_SUM_SQUARES = tl.constexpr(statistics.SUM_SQUARES)
_SUM_ABS = tl.constexpr(statistics.SUM_ABS)
_MAX_ABS = tl.constexpr(statistics.MAX_ABS)
_ZEROS = tl.constexpr(statistics.ZEROS)
_NAN = tl.constexpr(statistics.NAN)
_POS_INF = tl.constexpr(statistics.POS_INF)
_NEG_INF = tl.constexpr(statistics.NEG_INF)
_COUNTS = tl.constexpr(statistics.COUNTS)


@triton.jit
def count(chunks, rows, TYPE: tl.constexpr, BLOCK: tl.constexpr, SPAN: tl.constexpr):
    """Add the chunk of number `program_id` to the row of its tensor.

    Args:
        chunks: pointer to (C, 3) int64: address, number of elements, row.
        rows: pointer to (T, WIDTH) float64, all zero before the launch.
        TYPE: of the elements: bfloat16, float16, float32 or float64.
        BLOCK: elements handled at once, a power of two.
        SPAN: bins of the window, a power of two.
    """
    chunk = chunks + 3 * tl.program_id(0)
    elements = tl.load(chunk).to(tl.pointer_type(TYPE))
    n = tl.load(chunk + 1)
    row = rows + tl.load(chunk + 2) * _WIDTH
    squares = tl.full((), 0, tl.float64)
    sizes = tl.full((), 0, tl.float64)
    largest = tl.full((), 0, tl.float64)
    zeros = n
    for start in range(0, n, BLOCK):
        at = start + tl.arange(0, BLOCK)
        x = _wide(tl.load(elements + at, mask=at < n, other=0))
        a = _bits(x)
        greatest = tl.max(a)
        if greatest >= _infinity(a):
            a, infinite = _count_infinite(row, x, a)
            greatest = tl.max(a)
            zeros -= infinite
        v = _value(a)
        zeros -= _count_bins(row, a, v, greatest, SPAN)
        squares += tl.sum(v * v)
        sizes += tl.sum(v)
        largest = tl.maximum(largest, _value(greatest))
    tl.atomic_add(row + _N, n.to(tl.float64), sem="relaxed")
    tl.atomic_add(row + _SUM_SQUARES, squares, sem="relaxed")
    tl.atomic_add(row + _SUM_ABS, sizes, sem="relaxed")
    tl.atomic_max(row + _MAX_ABS, largest, sem="relaxed")
    tl.atomic_add(row + _ZEROS, zeros.to(tl.float64), sem="relaxed")


@triton.jit
def _wide(x):
    """Half-precision numbers as float32 ones."""
    if x.dtype == tl.float64:
        return x
    else:
        return x.to(tl.float32)


@triton.jit
def _bits(x):
    """Magnitudes as integers of the elements' width."""
    if x.dtype == tl.float64:
        return x.to(tl.int64, bitcast=True) & _MAGNITUDE64
    else:
        return x.to(tl.int32, bitcast=True) & _MAGNITUDE32


@triton.jit
def _value(a):
    """The float64 numbers of such bits."""
    if a.dtype == tl.int64:
        return a.to(tl.float64, bitcast=True)
    else:
        # the exponent's bits where a float64 has them; the power of two makes up for its larger bias
        return (a.to(tl.int64) << 29).to(tl.float64, bitcast=True) * 2.0**896


@triton.jit
def _infinity(a):
    return _INFINITY64 if a.dtype == tl.int64 else _INFINITY32


@triton.jit
def _count_infinite(row, x, a):
    """Count NaN and the infinities; returns the bits with zeros in their places, and how many there were."""
    nan = tl.sum((a > _infinity(a)).to(tl.int64))
    positive = tl.sum(((a == _infinity(a)) & (x > 0)).to(tl.int64))
    negative = tl.sum(((a == _infinity(a)) & (x < 0)).to(tl.int64))
    tl.atomic_add(row + _NAN, nan.to(tl.float64), sem="relaxed")
    tl.atomic_add(row + _POS_INF, positive.to(tl.float64), sem="relaxed")
    tl.atomic_add(row + _NEG_INF, negative.to(tl.float64), sem="relaxed")
    return tl.where(a >= _infinity(a), 0, a), nan + positive + negative


@triton.jit
def _bin(a):
    """The bin of each magnitude as `gradscope.histogram.count` defines it, but too high for float32's subnormals."""
    if a.dtype == tl.int64:
        key = (a >> 52) + ((a + ((1 << 52) - _HALF64)) >> 52)
        return tl.minimum(tl.maximum(key + _BIN_OF_KEY64, 0), _LAST_BIN).to(tl.int32)
    else:
        return (a >> 23) + ((a + ((1 << 23) - _HALF32)) >> 23) + _BIN_OF_KEY32


@triton.jit
def _count_bins(row, a, v, greatest, SPAN: tl.constexpr):
    """Returns how many values were not zero."""
    base = _bin(greatest) - (SPAN - 1)
    if a.dtype == tl.int32:
        base = tl.maximum(base, _BIN_OF_KEY32 + 1)
    bins = _bin(a)
    # whatever is to be counted one by one falls into the first place
    found = tl.histogram(tl.maximum(bins - base, 0), SPAN, mask=a != 0)
    place = tl.arange(0, SPAN)
    window = tl.where(place > 0, found, 0)
    tl.atomic_add(row + _COUNTS + base + place, window.to(tl.float64), mask=window > 0, sem="relaxed")
    n = tl.sum(found)
    if n != tl.sum(window):
        exact = _bin(v.to(tl.int64, bitcast=True))
        tl.atomic_add(row + _COUNTS + exact, 1.0, mask=(a != 0) & (bins <= base), sem="relaxed")
    return n
