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


def in_units_of_largest(error: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """An error in units of its largest absolute value: its squares neither underflow nor overflow in their sum.

    In float32 the square of anything below 1e-23 is 0, and a 30-layer sigmoid network sends less than that down to its
    first layers. To sum up in float64 instead is slower behind convolutions, and not every device has it.

    Args:
        error: [B, ...].
        dims: what one largest value is looked for over.

    Returns:
        The error in those units, a new tensor [B, ...] whose largest absolute value is 1, or 0 where all is 0, and NaN
        where something is infinite or NaN; the unit, over `dims` of size 1, which is 1 where all is 0. Both float32 or
        wider.
    """
    wide = error.float() if error.dtype in {torch.bfloat16, torch.float16} else error
    largest = wide.abs().amax(dims, keepdim=True)
    unit = largest.masked_fill_(largest == 0, 1)
    return wide / unit, unit


def _ratio(out: Tensor, error: Tensor) -> Tensor:
    """|out| / |error|, both L2 norms, 0-dim, float32 or wider; NaN where the error is 0 or one of them not finite."""
    parts = [in_units_of_largest(part, tuple(range(part.dim()))) for part in (out, error)]
    (above, unit), (below, other) = ((torch.linalg.vector_norm(units), unit.squeeze()) for units, unit in parts)
    ratio: Tensor = above / below * (unit / other)
    return ratio


Listener = Callable[[Tensor, Tensor | None], None]
"""Told in each backward pass: the mean gain over the samples, and the share of derivatives above 1 where there are
derivatives; both 0-dim, on the device of the error. The gain is NaN where it is measured on an error that is exactly 0:
what a node would have made of another error is not known there."""


class _Told:
    """A scale that tells whoever listens by what it changed the L2 norm of the error.

    The true factor for errors of any size; NaN for one of exactly 0, which has none, or with elements not finite.
    """

    def __init__(self, method: str, scale: Scale) -> None:
        self.gain_of = method
        self.gain_listeners: list[Listener] = []
        self._scale = scale

    def scale(self, error: Tensor) -> Tensor:
        out = self._scale(error)
        if self.gain_listeners:
            gain = _ratio(out, error)
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
