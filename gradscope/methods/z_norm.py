"""ZNorm (Yun 2024, arXiv 2408.01215): each layer's weight gradient standardised before the step.

Stated: g becomes (g - mean(g)) / (std(g) + eps), mean and standard deviation over the elements of a layer's gradient.
Inferred: biases and the parameters of norms keep theirs; the standard deviation is that of the population. Unlike a
gain on the way down it changes no other layer's gradient. All layers whose std(g) lies well above eps then move at the
same pace. Below eps a layer stays small, at std(g) / eps: with the default of 1e-10 one of 1e-12 comes to 0.0099.
"""

from collections.abc import Iterable

import torch
from torch import nn

from gradscope.config import ZNorm
from gradscope.methods.base import Method
from gradscope.methods.gain_node import in_units_of_largest


@torch.no_grad()
def z_norm(parameters: Iterable[nn.Parameter], eps: float = 1e-10) -> None:
    """Standardise every gradient of two or more dimensions, in place; others and missing ones are left alone."""
    for parameter in parameters:
        gradient = parameter.grad
        if gradient is not None and gradient.dim() > 1:
            gradient.sub_(gradient.mean())
            units, unit = in_units_of_largest(gradient, tuple(range(gradient.dim())))
            gradient.copy_(units.div_(torch.linalg.vector_norm(units) / units.numel() ** 0.5 + eps / unit))


class ZNormMethod(Method):
    """Standardises before each step, and before any clipping."""

    def __init__(self, settings: ZNorm) -> None:
        self.settings = settings

    def before_step(self, model: nn.Module) -> None:
        """Standardise the weights' gradients."""
        z_norm(model.parameters(), self.settings.eps)
