"""SmoothGrad (Smilkov et al. 2017): the input gradient without its flicker."""

import torch
from captum.attr import Saliency
from torch import Tensor

from gradscope.config.attributions import SmoothGrad
from gradscope.explain.question import Question


def smooth_grad(settings: SmoothGrad, question: Question) -> Tensor:
    """mean_i d logit / dx at x + e_i, e_i ~ N(0, (noise * (max x - min x))^2), the range of each picture; [B, C, H, W].

    captum's NoiseTunnel takes one deviation for a whole batch; the paper's is a share of each picture's range.
    """
    gradient = Saliency(question.model)
    x = question.images.detach()
    spread = settings.noise * (x.amax(dim=(1, 2, 3), keepdim=True) - x.amin(dim=(1, 2, 3), keepdim=True))
    generator = torch.Generator().manual_seed(question.seed)
    total = torch.zeros_like(x)
    for _ in range(settings.samples):
        noise = torch.randn(x.shape, generator=generator).to(x.device)
        noisy = (x + spread * noise).requires_grad_()
        total += gradient.attribute(noisy, target=question.targets, abs=False)
    return total / settings.samples
