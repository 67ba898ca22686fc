"""A node that only the backward pass sees: identity forward, the error times a gain on its way down.

Whatever amplifies the back-propagated error without touching the forward pass is such a node with a scale of its own:
the dual form of pseudo-normalisation (1 / RMS of a derivative), gradient amplification (a constant) and backward
gradient normalisation (1 / norm of the error).

In anybody's loop: `x = gain_node(x, lambda error: 2 * error)` doubles everything that x's gradient reaches.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

Scale = Callable[[Tensor], Tensor]
"""From the error [B, ...] that arrives from above to the one that goes on down, of the same shape."""


class _GainFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Scale) -> Tensor:  # Any: torch gives its context no type
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None]:
        return ctx.scale(error), None


def gain_node(x: Tensor, scale: Scale) -> Tensor:
    """The tensor itself; its error goes through `scale` on the way down. Nothing is saved for the backward pass.

    Where x is used elsewhere too, as in a shortcut, only the error that comes through this node is scaled.
    """
    out: Tensor = _GainFunction.apply(x, scale)
    return out


Listener = Callable[[Tensor, Tensor | None], None]
"""Told in each backward pass: the mean gain over the samples, and the share of derivatives above 1 where there are
derivatives; both 0-dim, on the device of the error."""


class _Told:
    """A scale that tells whoever listens by what it changed the L2 norm of the error."""

    def __init__(self, method: str, scale: Scale) -> None:
        self.gain_of = method
        self.gain_listeners: list[Listener] = []
        self._scale = scale

    def scale(self, error: Tensor) -> Tensor:
        out = self._scale(error)
        if self.gain_listeners:
            gain = torch.linalg.vector_norm(out) / torch.linalg.vector_norm(error)
            for tell in self.gain_listeners:
                tell(gain, None)
        return out


class InputGain(_Told):
    """Puts a gain node in front of a layer, in training mode only: the layer's own weights do not feel it.

    Args:
        layer: the layer.
        method: name of the settings class it serves.
        scale: what the node does.
    """

    def __init__(self, layer: nn.Module, method: str, scale: Scale) -> None:
        super().__init__(method, scale)
        layer.register_forward_pre_hook(self)

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """The hook: the layer's inputs, the first behind the node."""
        return (gain_node(inputs[0], self.scale), *inputs[1:]) if layer.training else None


class OutputGain(_Told):
    """Puts a gain node behind a layer, in training mode only: its own weights and everything below feel it.

    Args as of `InputGain`.
    """

    def __init__(self, layer: nn.Module, method: str, scale: Scale) -> None:
        super().__init__(method, scale)
        layer.register_forward_hook(self)

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor | None:
        """The hook: the layer's output behind the node."""
        return gain_node(output, self.scale) if layer.training else None
