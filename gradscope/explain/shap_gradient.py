"""Expected gradients (Erion et al. 2021, eq. 3) by SHAP's GradientExplainer (Lundberg & Lee 2017)."""

import numpy as np
import torch
from torch import Tensor

from gradscope.config.attributions import ShapGradient
from gradscope.explain.question import Question, seeded
from gradscope.explain.shap_package import SingleLogit, shap_package


def shap_gradient(settings: ShapGradient, question: Question) -> Tensor:
    """As `gradient_shap`, one picture after the other; [B, C, H, W]."""
    background = question.references.background(settings.background)
    maps = []
    with seeded(question.seed, question.images.device):
        for image, target in zip(question.images, question.targets.tolist(), strict=True):
            explainer = shap_package().GradientExplainer(
                SingleLogit(question.model, target), background, batch_size=100
            )
            values = explainer.shap_values(image[None], nsamples=settings.samples, rseed=question.seed)
            maps.append(np.asarray(values, dtype=np.float32).reshape(image.shape))
    return torch.from_numpy(np.stack(maps)).to(question.images.device)
