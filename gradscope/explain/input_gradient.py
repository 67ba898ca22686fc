"""The gradient of the logit with respect to the picture (Simonyan et al. 2014, section 3)."""

from captum.attr import Saliency
from torch import Tensor

from gradscope.config.attributions import InputGradient
from gradscope.explain.question import Question


def input_gradient(settings: InputGradient, question: Question) -> Tensor:
    """D logit / d picture with its sign (the paper takes the absolute value); [B, C, H, W]."""
    pictures = question.images.detach().clone().requires_grad_()
    out: Tensor = Saliency(question.model).attribute(pictures, target=question.targets, abs=False)
    return out
