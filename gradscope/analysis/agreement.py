"""Whether two maps point at the same pixels."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def rank_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> Floats:
    """Spearman's rank correlation of N pairs of maps over their pixels, the channels summed.

    Ranks and not values: units, scales and a few very large values do not matter. Ties share their mean rank.

    Args:
        first: [N, C, H, W].
        second: [N, C', H, W]; C' may differ from C.

    Returns:
        [N] in -1..1; NaN where a map is the same everywhere.

    >>> a, b = np.array([[[[1.0, 2.0, 3.0]]]]), np.array([[[[10.0, 200.0, 3000.0]]]])
    >>> rank_correlation(a, b).tolist(), rank_correlation(a, -b).tolist()
    ([1.0], [-1.0])
    """
    x, y = _ranks(first), _ranks(second)
    spread = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    found: Floats = (x * y).sum(axis=1) / np.where(spread > 0, spread, np.nan)
    return found


def _ranks(maps: NDArray[np.floating]) -> Floats:
    """Ranks of each map's pixels, less their mean; [N, H * W]."""
    pixels = pd.DataFrame(maps.astype(np.float64).sum(axis=1).reshape(len(maps), -1))
    ranks: Floats = pixels.rank(axis=1).to_numpy(dtype=np.float64)
    centred: Floats = ranks - ranks.mean(axis=1, keepdims=True)
    return centred
