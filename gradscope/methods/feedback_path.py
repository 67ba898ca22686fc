"""The second feedback path of the dual form of pseudo-normalised gradients (Bu et al. 2026, figure 1).

It crosses a group of layers beside the ordinary one: the gain that belongs to the activation at its top is handed to
the group's entry, below its lowest layer, where the error takes it on its way down.
"""

from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gradscope.errors import ConfigError
from gradscope.methods.gain_node import gain_node
from gradscope.methods.slopes import Scope

T = TypeVar("T")


def wide(dtype: torch.dtype) -> torch.dtype:
    """Of the gains of elements of that type."""
    return torch.float32 if dtype in {torch.bfloat16, torch.float16} else dtype


def _beside(error: Tensor, gain: Tensor) -> Tensor:
    return gain.reshape(-1, *[1] * (error.dim() - 1)).to(error.dtype)


def amplified(error: Tensor, gain: Tensor | None) -> Tensor:
    """The error [B, ...], which somebody else may hold, times a gain [B] or [1]; itself where there is no gain."""
    return error if gain is None else error * _beside(error, gain)


def amplify_(error: Tensor, gain: Tensor | None) -> Tensor:
    """The same in place, for an error that nobody else holds."""
    return error if gain is None else error.mul_(_beside(error, gain))


class Crossing:
    """What crosses a path in one forward pass and its backward passes."""

    gain: Tensor | None = None
    """[B] or [1]; left by the activation at the top. Where nothing was left the error goes on as it is."""

    def amplify(self, error: Tensor) -> Tensor:
        """What goes on below the entry of the error [B, ...] that arrives there."""
        return amplified(error, self.gain)


class _EntryFunction(torch.autograd.Function):
    """The entry where a compiler traces the passes: the tensor itself [B, ...], and a wire for the top.

    A compiler sees no gain that is left after it has traced the entry. So the wire is zeros and the gain its
    "gradient", which autograd carries from the top of the group to here, where the error takes it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scope: Scope) -> tuple[Tensor, Tensor]:  # Any: torch gives its context no type
        ctx.set_materialize_grads(False)
        return x.view_as(x), x.new_zeros(len(x) if scope == "sample" else 1, dtype=wide(x.dtype))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor | None, gain: Tensor | None) -> tuple[Tensor | None, None]:
        return (error if error is None else amplified(error, gain)), None


class FeedbackPath:
    """The second feedback path across one group: from its entry below the lowest layer to the activation at its top.

    Args:
        lowest: a Linear or Conv2d, in front of which the entry is put; or None: an activation that is given the path as
            its `entry` is one, because all that it gives goes to that layer.
        scope: that of the activation at the top.
        ahead: whether the top works out its gain in the forward pass already. An error that enters the group from its
            side (of an early exit, of a loss on a hidden layer) and is differentiated by itself never meets the top;
            it takes the gain too. Without, the top's backward pass works it out on the way, which costs less.
    """

    def __init__(self, lowest: nn.Module | None, scope: Scope = "sample", *, ahead: bool = True) -> None:
        self.scope = scope
        self.ahead = ahead
        self._crossing: Crossing | None = None
        self._wire: Tensor | None = None
        if lowest is not None:
            lowest.register_forward_pre_hook(self)

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """The hook: the layer's inputs, the first behind the entry; in eval mode nothing, and nobody takes the gain."""
        if not layer.training:
            self.open()
            return None
        x, *others = inputs
        return (self.wired(x) if torch.compiler.is_compiling() else gain_node(x, self.open().amplify), *others)

    def open(self) -> Crossing:
        """For the forward pass in progress, by its entry."""
        self._crossing = crossing = Crossing()
        return crossing

    def take(self) -> Crossing:
        """The crossing of the forward pass in progress, for the top, which the next pass must not find."""
        crossing, self._crossing = self._crossing, None
        return _entered(crossing)

    def wired(self, x: Tensor) -> Tensor:
        """Where a compiler traces: the tensor itself [B, ...] behind an entry that lays a wire."""
        x, self._wire = _EntryFunction.apply(x, self.scope)
        return x

    def take_wire(self) -> Tensor:
        """The wire of the forward pass in progress, for the top; given away, as it would keep that pass's memory."""
        wire, self._wire = self._wire, None
        return _entered(wire)


def _entered(found: T | None) -> T:
    """What the entry left for the top; ConfigError where the top comes first."""
    if found is None:
        raise ConfigError(
            "pseudo_norm in its dual form came to the top of a group in a forward pass that did not come through the "
            "group's lowest layer just before; a checkpoint around a part of the group, a module that runs twice and "
            "several threads do that: choose methods.pseudo_norm.form=direct for this model"
        )
    return found
