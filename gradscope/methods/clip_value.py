"""Gradient clipping by value."""

from collections.abc import Iterable

from torch import nn

from gradscope.config import ClipValue
from gradscope.methods.base import Method


def clip_value(parameters: Iterable[nn.Parameter], limit: float) -> None:
    """Clip every gradient element to [-limit, limit], in place; NaN stays NaN, so divergence is not hidden."""
    with_gradient = [p for p in parameters if p.grad is not None]
    if with_gradient:  # torch fails on an empty list
        nn.utils.clip_grad_value_(with_gradient, limit)


class ClipValueMethod(Method):
    """Clips before each step (limit 0.5 in Bu et al. 2026)."""

    def __init__(self, settings: ClipValue) -> None:
        self.settings = settings

    def before_step(self, model: nn.Module) -> None:
        """Clip the gradients of all parameters."""
        clip_value(model.parameters(), self.settings.limit)
