"""Where a profile breaks: two straight lines that meet at a layer, if they say more than one does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAST_BESIDE = 3
"""Layers on either side of a knee; with fewer, one odd layer at an end would make one."""

NOISE_DECADES = 0.01
"""A mean deviation below this is no deviation: nobody sees it, and float32 does not promise it."""

CLEAR = 10.0
"""By how much the two lines' Bayesian information criterion must be lower: "very strong" (Kass & Raftery 1995)."""

_ROUNDS = 40

Numbers = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Knee:
    """Two lines through log10 RMS that meet. Above is towards the output, below towards the input."""

    at: float
    """Depth at which they meet, that of a layer."""
    level: float
    """log10 RMS where they meet."""
    slope_above: float
    """Decades a unit of depth towards the output."""
    slope_below: float

    @property
    def factor_above(self) -> float:
        """By what the RMS is multiplied a unit of depth, from the output down to the knee."""
        return float(10.0**-self.slope_above)

    @property
    def factor_below(self) -> float:
        """By what it is multiplied a unit of depth, from the knee down to the input."""
        return float(10.0**-self.slope_below)


def find_knee(depth: Numbers, logs: Numbers) -> Knee | None:
    """The best continuous pair of lines, if it is clearly better than one line.

    Both are fitted for the least sum of absolute deviations, which an odd layer bends less than squares. Deviations are
    taken as Laplace-distributed: a fit with p numbers and sum of deviations S over n layers is worth
    BIC = 2 n ln S + p ln n (Schwarz 1978), p = 2 for a line and 4 for two with a knee.

    Args:
        depth: shape (n,), rising.
        logs: log10 RMS, shape (n,), finite.
    """
    n = depth.size
    if n < 2 * LEAST_BESIDE + 1:
        return None
    candidates = depth[LEAST_BESIDE : n - LEAST_BESIDE]
    line = np.stack([np.ones(n), depth - depth.mean()], axis=1)[None]
    beyond = depth[None] - candidates[:, None]
    bent = np.stack([np.ones_like(beyond), np.minimum(beyond, 0), np.maximum(beyond, 0)], axis=2)
    _, deviation_line = _least_absolute(line, logs)
    found, deviations = _least_absolute(bent, logs)
    best = int(deviations.argmin())
    floor = NOISE_DECADES * n
    gain = 2 * n * np.log(max(float(deviation_line[0]), floor) / max(float(deviations[best]), floor)) - 2 * np.log(n)
    if gain < CLEAR:
        return None
    level, below, above = (float(c) for c in found[best])
    return Knee(at=float(candidates[best]), level=level, slope_below=below, slope_above=above)


def _least_absolute(designs: Numbers, y: Numbers) -> tuple[Numbers, Numbers]:
    """Least absolute deviations for K designs at once, by reweighted least squares (Schlossmacher 1973).

    Args:
        designs: shape (K, n, p).
        y: shape (n,).

    Returns:
        Coefficients (K, p) and sums of absolute deviations (K,).
    """
    weights: Numbers = np.ones(designs.shape[:2])
    coefficients: Numbers = np.zeros((designs.shape[0], designs.shape[2]))
    for _ in range(_ROUNDS):
        weighted = designs * weights[..., None]
        left = np.swapaxes(weighted, 1, 2) @ designs
        right = np.swapaxes(weighted, 1, 2) @ y
        coefficients = np.asarray(np.linalg.solve(left, right[..., None])[..., 0], dtype=np.float64)
        rest = np.abs(y - (designs @ coefficients[..., None])[..., 0])
        weights = 1 / np.maximum(rest, NOISE_DECADES / 10)
    return coefficients, rest.sum(axis=1)
