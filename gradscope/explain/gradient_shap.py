"""Expected gradients (Erion et al. 2021, eq. 3), which captum calls gradient SHAP."""

import torch
from captum.attr import GradientShap as Captum
from torch import Tensor

from gradscope.config.attributions import GradientShap
from gradscope.explain.question import Question, seeded


def gradient_shap(settings: GradientShap, question: Question) -> Tensor:
    """Mean over random training pictures x' and a ~ U(0, 1) of (x - x') * d logit / dx at x' + a (x - x').

    [B, C, H, W]. A Monte Carlo mean: it adds up only as far as its samples reach.
    """
    background = question.references.background(settings.background)
    explainer = Captum(question.model)
    with seeded(question.seed, question.images.device):
        maps = [
            explainer.attribute(
                part.images, baselines=background, n_samples=settings.samples, stdevs=0.0, target=part.targets
            )
            for part in question.parts(settings.samples)
        ]
    return torch.cat(maps).float()
