"""Whether a map adds up: does the sum over its pixels give the difference between the network's outputs?"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

ROUNDING = 1e-3
"""A difference below this share of the logit is rounding: there is nothing to explain, and nothing to miss."""


def completeness_error(
    totals: NDArray[np.floating], differences: NDArray[np.floating], logits: NDArray[np.floating]
) -> Floats:
    """|sum of the map - difference| / |difference| for each of N maps, 0 where the map adds up.

    Args:
        totals: [N], the sum over each map.
        differences: [N], what it promises to be; NaN where the method promises nothing.
        logits: [N], the explained logit. A network whose signal died gives every picture nearly the same one; relative
            to their difference even the rounding of float32 would be large, so the error is relative to at least a
            thousandth of the logit.

    Returns:
        [N], NaN where nothing is promised.

    >>> completeness_error(np.array([1.0, 1.0]), np.array([0.8, np.nan]), np.array([2.0, 2.0])).round(3).tolist()
    [0.25, nan]
    """
    missed = np.abs(totals.astype(np.float64) - differences)
    scale = np.maximum(np.abs(differences.astype(np.float64)), ROUNDING * np.abs(logits))
    return missed / np.where(scale > 0, scale, np.nan)


def pooled_error(
    totals: NDArray[np.floating], differences: NDArray[np.floating], logits: NDArray[np.floating]
) -> float | None:
    """The same of several maps together: the root mean square of what they miss over that of what they promise.

    A picture whose logit happens to be the baseline's has a large error of its own and little weight here. None where
    nothing is promised.
    """
    promised = np.isfinite(differences)
    if not promised.any():
        return None
    missed = (totals.astype(np.float64) - differences)[promised]
    scale = np.maximum(np.abs(differences.astype(np.float64)), ROUNDING * np.abs(logits))[promised]
    whole = float(np.sqrt(np.square(scale).mean()))
    return float(np.sqrt(np.square(missed).mean())) / whole if whole > 0 else 0.0
