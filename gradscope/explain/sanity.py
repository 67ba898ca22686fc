"""Whether a map shows what the network learned: compared with the map of the same network with random weights.

A method whose maps stay the same when all weights are drawn anew shows the picture, not the network (Adebayo et al.
2018, section 3, all layers at once).
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from gradscope.analysis.agreement import rank_correlation
from gradscope.analysis.looks import mass
from gradscope.config.attributions import AttributionSettings
from gradscope.explain.attribute import attribute
from gradscope.explain.question import Question


def similarity_to_random(
    settings: AttributionSettings, question: Question, maps: Tensor, random_model: nn.Module
) -> NDArray[np.float64]:
    """Spearman's rank correlation of |map| with that of a network of random weights, float64 [B] in -1..1.

    Near 0 is sane; NaN where one of the two is the same everywhere. The absolute value, as in their figures: the sign
    of a random network's evidence means nothing.

    Args:
        settings: the method.
        question: what the maps explain.
        maps: [B, C, H, W].
        random_model: the same architecture with other weights, on the same device, in eval mode.
    """
    other = attribute(settings, replace(question, model=random_model)).values
    sizes = [mass(m.cpu().numpy())[:, None] for m in (maps, other)]
    return rank_correlation(*sizes)
