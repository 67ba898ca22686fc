"""The one histogram: fixed edges on log2 |x|, half an octave a bin, the same for every layer, step and run.

Fixed edges are what makes histograms add, subtract, stack and compare. Bin i holds the finite, non-zero x with

    2^(LOWEST + i / 2) <= |x| < 2^(LOWEST + (i + 1) / 2),        i = 0 .. BINS - 1

and the two end bins are open: bin 0 takes everything smaller, bin BINS - 1 everything larger. All of float32, its
subnormals included, lies inside (2^-149 .. 2^128). Zeros, NaN, +Inf and -Inf are counted beside the histogram, so

    sum(counts) + zeros + nan + pos_inf + neg_inf = number of elements measured.

Stored, a histogram is a BLOB of unsigned LEB128 numbers: first the index of the first non-empty bin, then the counts
from there to the last non-empty bin. An empty histogram is the empty BLOB. A decoder in full:

    def decode(blob):
        numbers, value, shift = [], 0, 0
        for byte in blob:
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                numbers.append(value)
                value, shift = 0, 0
        counts = [0] * 640
        if numbers:
            counts[numbers[0] : numbers[0] + len(numbers) - 1] = numbers[1:]
        return counts
"""

import numpy as np
from numpy.typing import NDArray

LOWEST = -160
BINS = 640

Counts = NDArray[np.int64]


def edges_log2() -> NDArray[np.float64]:
    """The BINS + 1 edges as log2 |x|, from -160 to 160."""
    return LOWEST + np.arange(BINS + 1) / 2


def centres_log2() -> NDArray[np.float64]:
    """The BINS bin centres as log2 |x|."""
    return LOWEST + (np.arange(BINS) + 0.5) / 2


def count(values: NDArray[np.floating]) -> Counts:
    """Histogram of the finite non-zero values: shape (BINS,).

    The slow and obvious definition that the fast kernels are tested against. frexp writes |x| = m 2^e with m in
    [0.5, 1), so log2 |x| lies in [e - 1, e), and in its upper half exactly when m >= sqrt(1/2).
    """
    x = np.abs(np.asarray(values, dtype=np.float64).ravel())
    x = x[np.isfinite(x) & (x > 0)]
    mantissa, exponent = np.frexp(x)
    index = 2 * (exponent.astype(np.int64) - 1 - LOWEST) + (mantissa >= np.sqrt(0.5))
    return np.bincount(np.clip(index, 0, BINS - 1), minlength=BINS).astype(np.int64)


def encode(counts: Counts) -> bytes:
    """Counts of shape (BINS,) as the stored BLOB; typically 30 to 100 bytes."""
    filled = np.flatnonzero(counts)
    if not filled.size:
        return b""
    blob = bytearray()
    for number in (int(filled[0]), *counts[filled[0] : filled[-1] + 1].tolist()):
        while number >= 128:
            blob.append(number & 127 | 128)
            number >>= 7
        blob.append(number)
    return bytes(blob)


def decode(blob: bytes) -> Counts:
    """Counts of shape (BINS,) from a stored BLOB."""
    counts = np.zeros(BINS, dtype=np.int64)
    numbers, value, shift = [], 0, 0
    for byte in blob:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            numbers.append(value)
            value, shift = 0, 0
    if numbers:
        counts[numbers[0] : numbers[0] + len(numbers) - 1] = numbers[1:]
    return counts
