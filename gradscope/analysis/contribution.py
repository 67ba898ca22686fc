"""The contribution map of the pseudo-normalising paper (Bu et al. 2026, section 5, figures 5 to 7)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

THRESHOLD = 0.3
"""The paper's."""


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """The four panels of a figure, in the paper's order."""

    scaled: Floats
    """[C, H, W] in 0..1: how much each colour value contributes, 1 for the one that contributes most."""
    kept: Floats
    """[C, H, W] in 0..1: the same with values under the threshold set to zero."""
    grey: Floats
    """[H, W] in 0..1: the average of the channels of `kept`."""
    binary: NDArray[np.bool_]
    """[H, W]: the pixels of which a colour value was kept."""


def contribution(attribution: NDArray[np.floating], threshold: float = THRESHOLD) -> Contribution:
    """Scale to 0..1, drop what is under the threshold, average the channels, binarise.

    The paper says "scaled to 0..1" without a formula. Here it is |a| / max |a| over the picture: a pixel without
    influence is 0 and hence black, as the margins of its figures are; a scale from the least to the greatest value
    would put no influence in the middle and above the threshold. Evidence against the class contributes as well.

    Args:
        attribution: [C, H, W], one map.
        threshold: in 0..1; 0 keeps every value.

    Raises:
        ValueError: the threshold is outside 0..1.

    >>> panels = contribution(np.array([[[2.0, -4.0, 1.0]], [[0.0, 0.0, 0.5]]]))
    >>> panels.scaled.tolist()
    [[[0.5, 1.0, 0.25]], [[0.0, 0.0, 0.125]]]
    >>> panels.grey.tolist(), panels.binary.tolist()
    ([[0.25, 0.5, 0.0]], [[True, True, False]])
    """
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold {threshold} is outside 0..1; the paper takes {THRESHOLD}")
    size = np.abs(attribution.astype(np.float64))
    most = size.max(initial=0.0)
    scaled = size / most if most > 0 else size
    kept = np.where(scaled < threshold, 0.0, scaled)
    return Contribution(scaled=scaled, kept=kept, grey=kept.mean(axis=0), binary=np.asarray((kept > 0).any(axis=0)))
