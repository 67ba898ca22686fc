"""Integrated gradients (Sundararajan, Taly & Yan 2017, eq. 1)."""

from captum.attr import IntegratedGradients as Captum
from torch import Tensor

from gradscope.config.attributions import IntegratedGradients
from gradscope.explain.question import AT_ONCE, Question


def integrated_gradients(settings: IntegratedGradients, question: Question) -> Tensor:
    """(x - x') * integral of d logit / dx from the baseline x' to x, by Gauss-Legendre quadrature; [B, C, H, W]."""
    baseline = question.references.baseline(settings.baseline, question.images)
    out: Tensor = Captum(question.model).attribute(
        question.images,
        baselines=baseline,
        target=question.targets,
        n_steps=settings.steps,
        internal_batch_size=max(AT_ONCE, len(question.images)),
    )
    return out.float()
