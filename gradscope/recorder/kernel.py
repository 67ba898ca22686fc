"""The compiled code behind `gradscope.recorder.cpu`: every number of a row in one pass over the memory.

A float32 is taken apart by its bits. With a = bits of |x| and T the smallest mantissa whose value is at least sqrt(2),

    key = (a >> 23) + ((a + 2^23 - T) >> 23) = 2 exponent + (mantissa >= T)

is the half-octave of x: exact, and two shifts and two additions that vectorise. The keys of zeros, subnormals, NaN and
infinities lie at the two ends; a chunk that has any is gone over once more with care. Counting into four tables in turn
keeps an increment from waiting for the one before it when neighbours share a bin.

Work is cut into chunks that threads draw from a common counter, so it does not matter how many threads come, or which.
Sums are kept for each chunk and added up in order, so the result does not depend on the threads either.
"""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray, njit, types  # type: ignore[attr-defined]

from gradscope.histogram import BINS, LOWEST
from gradscope.native import TOLD, add, at, callback, compiled, intrinsic_of, summing
from gradscope.recorder.statistics import COUNTS, ZEROS

N_COUNTS = COUNTS - ZEROS + BINS
"""Zeros, NaN, +Inf, -Inf, then the bins."""

_BIN0 = COUNTS - ZEROS
CHUNK = 1 << 16
_BLOCK = 1 << 10
_TABLES, _KEYS, _SPAN = 4, 512, 64
_HALF32 = 0x3504F4
"""The mantissa bits of the smallest float32 at or above sqrt(2); the same in float64 below."""
_HALF64 = 0x6A09E667F3BCD
_BIN_OF_KEY = -2 * (127 + LOWEST)
_SMALLEST_NORMAL = 2.0**-126
_LARGEST = float(np.finfo(np.float64).max)

F = TypeVar("F", bound=Callable[..., Any])


def _encoder(function: F) -> F:
    signature = "int64(int64[:, ::1], uint8[::1], int64[::1])"
    return cast(F, njit(signature, nogil=True, cache=True, error_model="numpy")(function))


@intrinsic_of
def _bits(typing: Any, value: Any) -> Any:
    """The bits of a float64 as an int64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.IntType(64))

    return types.int64(types.float64), generate


@intrinsic_of
def _float32(typing: Any, bits: Any) -> Any:
    """The float32 of those 32 bits."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.uint32), generate


@summing
def _moments(x: Any, sums: Any) -> None:
    squares = 0.0
    sizes = 0.0
    for i in range(x.size):
        v = np.float64(x[i])
        squares += v * v
        sizes += abs(v)
    sums[0] += squares
    sums[1] += sizes


@compiled
def _find_keys(bits: Any, keys: Any) -> tuple[Any, Any]:
    """Fill in the key of each element; returns the bits of the smallest and the largest magnitude."""
    least = np.uint32(0x7FFFFFFF)
    largest = np.uint32(0)
    for i in range(bits.size):
        # numba would widen every sum to 64 bits, and halve the speed
        a = np.uint32(bits[i] & np.uint32(0x7FFFFFFF))
        least = np.uint32(min(least, a))
        largest = np.uint32(max(largest, a))
        keys[i] = _key(a)
    return least, largest


@compiled
def _key(a: Any) -> Any:
    above = np.uint32(np.uint32(a + np.uint32(0x800000 - _HALF32)) >> np.uint32(23))
    return np.uint16(np.uint32(a >> np.uint32(23)) + above)


@compiled
def _count_keys(keys: Any, n: int, tables: Any) -> None:
    whole = n - n % _TABLES
    for i in range(0, whole, _TABLES):
        tables[0, keys[i]] += np.int32(1)
        tables[1, keys[i + 1]] += np.int32(1)
        tables[2, keys[i + 2]] += np.int32(1)
        tables[3, keys[i + 3]] += np.int32(1)
    for i in range(whole, n):
        tables[0, keys[i]] += np.int32(1)


@compiled
def _count_pairs(keys: Any, lowest: Any, pairs: Any, slots: Any) -> None:
    """The same with half the increments, for a whole block whose keys all lie within _SPAN from `lowest`."""
    half = _BLOCK // 2
    base = np.uint16(lowest)
    for i in range(half):
        row = np.uint16(np.uint16(keys[i] - base) * np.uint16(_SPAN))
        slots[i] = np.uint16(row + np.uint16(keys[i + half] - base))
    for i in range(half):
        pairs[slots[i]] += np.int32(1)


@compiled
def _unpair(lowest: Any, pairs: Any, tables: Any) -> None:
    """Add the counted pairs to the tables, each as its two keys, and begin again from zero."""
    for i in range(_SPAN):
        for j in range(_SPAN):
            tables[0, lowest + i] += pairs[i * _SPAN + j]
            tables[1, lowest + j] += pairs[i * _SPAN + j]
    pairs[:] = 0


@compiled
def _with_care(x: Any, sums: Any, counts: Any, every_bin: bool) -> None:
    """One by one: moments of the finite, counts of the others, and bins of all (or of float32's subnormals only)."""
    sums[:] = 0.0
    for i in range(x.size):
        v = abs(np.float64(x[i]))
        if v <= _LARGEST:
            sums[0] += v * v
            sums[1] += v
            sums[2] = max(sums[2], v)
            if v == 0.0:
                counts[0] += 1
            elif every_bin or v < _SMALLEST_NORMAL:
                bits = _bits(v)
                index = 2 * ((bits >> 52) - 1023 - LOWEST) + ((bits & 0xFFFFFFFFFFFFF) >= _HALF64)
                counts[_BIN0 + min(max(index, 0), BINS - 1)] += 1
        elif v != v:
            counts[1] += 1
        else:
            counts[2 if x[i] > 0 else 3] += 1


@compiled
def _chunk32(address: int, n: int, sums: Any, counts: Any, desk: Any) -> None:
    tables, keys, pairs, slots, lowest = desk
    x = carray(at(address, types.float32), n)
    bits = carray(at(address, types.uint32), n)
    greatest = np.uint32(0)
    for start in range(0, n, _BLOCK):
        stop = min(n, start + _BLOCK)
        _moments(x[start:stop], sums)
        least, largest = _find_keys(bits[start:stop], keys)
        greatest = max(greatest, largest)
        low, high = _key(least), _key(largest)
        if start == 0 and n == CHUNK and (low < lowest[0] or high >= lowest[0] + _SPAN):
            _unpair(lowest[0], pairs, tables)
            lowest[0] = min(max(high - _SPAN * 7 // 8, 0), _KEYS - _SPAN)
        if stop - start == _BLOCK and low > 1 and high < 510 and low >= lowest[0] and high < lowest[0] + _SPAN:
            _count_pairs(keys, lowest[0], pairs, slots)
        else:
            _count_keys(keys, stop - start, tables)
    sums[2] = _float32(greatest)
    odd = _take_odd(tables)
    if odd and (greatest >= np.uint32(0x7F800000) or odd != _count_zeros(bits)):
        _with_care(x, sums, counts, False)
    else:
        counts[0] += odd


@compiled
def _take_odd(tables: Any) -> int:
    """How many keys were of zeros, subnormals, NaN and infinities; takes them out of the tables."""
    odd = 0
    for table in range(_TABLES):
        for key in (0, 1, 510, 511):
            odd += tables[table, key]
            tables[table, key] = 0
    return odd


@compiled
def _count_zeros(bits: Any) -> int:
    zeros = 0
    for i in range(bits.size):
        zeros += (bits[i] & np.uint32(0x7FFFFFFF)) == np.uint32(0)
    return zeros


@compiled
def _hand_in(address: int, counts: Any, desk: Any) -> None:
    """Add what a thread counted to the tensor's row, and begin again from zero."""
    tables, _, pairs, _, lowest = desk
    _unpair(lowest[0], pairs, tables)
    for key in range(2, 510):
        counts[_BIN0 + key + _BIN_OF_KEY] += tables[0, key] + tables[1, key] + tables[2, key] + tables[3, key]
    tables[:] = 0
    for i in range(counts.size):
        if counts[i]:
            add(address + 8 * i, counts[i])
            counts[i] = 0


@compiled
def _new_desk() -> Any:
    """What a thread counts with: tables, keys and slots of a block, pairs, and the lowest key that these can hold."""
    tables = np.zeros((_TABLES, _KEYS), np.int32)
    keys = np.empty(_BLOCK, np.uint16)
    pairs = np.zeros(_SPAN * _SPAN, np.int32)
    slots = np.empty(_BLOCK // 2, np.uint16)
    lowest = np.zeros(1, np.int64)
    return tables, keys, pairs, slots, lowest


@callback
def work(job: int) -> None:
    """What each thread does: draw chunks until there are none.

    They are told the number of chunks C and the addresses of chunks (C, 4), sums (C, 3) and counts (T, N_COUNTS), see
    `gradscope.recorder.cpu`; `job` counts the chunks drawn.
    """
    told = carray(at(job + TOLD, types.int64), 4)
    n_chunks = told[0]
    chunks = carray(at(told[1], types.int64), n_chunks * 4)
    sums = carray(at(told[2], types.float64), n_chunks * 3)
    desk = _new_desk()
    counts = np.zeros(N_COUNTS, np.int64)
    row = -1
    chunk = add(job, 1)
    while chunk < n_chunks:
        address, n, is_double, its_row = chunks[4 * chunk : 4 * chunk + 4]
        if its_row != row and row >= 0:
            _hand_in(told[3] + 8 * row * counts.size, counts, desk)
        row = its_row
        mine = sums[3 * chunk : 3 * chunk + 3]
        if is_double:
            _with_care(carray(at(address, types.float64), n), mine, counts, True)
        else:
            _chunk32(address, n, mine, counts, desk)
        chunk = add(job, 1)
    if row >= 0:
        _hand_in(told[3] + 8 * row * counts.size, counts, desk)


@compiled
def _count_beyond(x: Any, low: float, high: float) -> int:
    least, most = x.dtype.type(low), x.dtype.type(high)
    count = 0
    for i in range(x.size):
        count += (x[i] < least) | (x[i] > most)
    return count


@compiled
def beyond(address: int, n: int, double: bool, low: float, high: float) -> int:
    """How many of n float32 or float64 at an address lie below `low` or above `high`."""
    if double:
        return _count_beyond(carray(at(address, types.float64), n), low, high)
    return _count_beyond(carray(at(address, types.float32), n), low, high)


@_encoder
def encode(counts: Any, out: Any, ends: Any) -> int:
    """`gradscope.histogram.encode` of each row of counts, one behind the other in `out`."""
    at = 0
    for row in range(counts.shape[0]):
        first, last = BINS, -1
        for i in range(BINS):
            if counts[row, i]:
                first = min(first, i)
                last = i
        for i in range(first - 1, last + 1):
            number = counts[row, i] if i >= first else first
            while number >= 128:
                out[at] = number & 127 | 128
                number >>= 7
                at += 1
            out[at] = number
            at += 1
        ends[row] = at
    return at
