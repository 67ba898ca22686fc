"""Gradient clipping by norm."""

from collections.abc import Iterable

from torch import Tensor, nn

from gradscope.config import ClipNorm
from gradscope.methods.base import Method


def clip_norm(parameters: Iterable[nn.Parameter], max_norm: float) -> Tensor:
    """Scale the whole gradient g to g min(1, max_norm / |g|), in place; the norm |g| before, a scalar.

    Source:
        Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks", algorithm 1.
    """
    return nn.utils.clip_grad_norm_(parameters, max_norm)


class ClipNormMethod(Method):
    """Clips before each step."""

    def __init__(self, settings: ClipNorm) -> None:
        self.settings = settings

    def before_step(self, model: nn.Module) -> None:
        """Clip the gradient of all parameters together."""
        clip_norm(model.parameters(), self.settings.max_norm)
