"""DeepLIFT-SHAP (Lundberg & Lee 2017, section 4.2; DeepLIFT's rescale rule, Shrikumar et al. 2017)."""

import warnings

import torch
from captum.attr import DeepLiftShap as Captum
from torch import Tensor

from gradscope.config.attributions import DeepLiftShap
from gradscope.errors import AttributionError
from gradscope.explain.deeplift_rules import objection
from gradscope.explain.question import Question


def deeplift_shap(settings: DeepLiftShap, question: Question) -> Tensor:
    """DeepLIFT against each background picture, averaged; [B, C, H, W].

    Raises:
        AttributionError: DeepLIFT would be wrong on this network, and says nothing of it.
    """
    if reason := objection(question.model, question.images[:1]):
        raise AttributionError(
            f"DeepLIFT would be wrong on this network: {reason}; choose integrated_gradients, which serves any network"
        )
    background = question.references.background(settings.background)
    explainer = Captum(question.model)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Setting forward, backward hooks", UserWarning)
        maps = [
            explainer.attribute(part.images, baselines=background, target=part.targets).detach()
            for part in question.parts(2 * len(background))
        ]
    return torch.cat(maps)
