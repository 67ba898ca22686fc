r"""Pseudo-normalised gradients (Bu, Jiang, Lu & Zhang 2026, Entropy 28(1) 57, doi 10.3390/e28010057).

The backward pass multiplies the error at layer l by f'(z_l). Where |f'| <= 1, as in tanh, a product of many such
factors vanishes. The method divides the derivative of every k-th activation by its root mean square (eq. 14):

    r_l = sqrt(mean_i f'(z_l,i)^2),     d_l = (W_(l+1)^T d_(l+1)) * f'(z_l) / r_l

The forward pass is unchanged, so **the result is not the gradient of the loss**, and it is not meant to be: it is a
direction of descent with a gain of 1 / r_l for everything below. "Pseudo", because no mean is subtracted.

Two forms, which send the same error down to whatever lies below a group of k layers:

* direct: in the plain chain of factors (eq. 15) the f' at the top of each group is replaced by f' / r;
* dual: the second feedback path of figure 1 (eq. 18-19). It crosses a group with f' / r at its top and hands on, while
  the first, local path serves the group's own weights with the plain f'. r is one number (for each sample), so it
  commutes with the linear maps in between: the two paths are ordinary backpropagation with a gain 1 / r at the
  *input* of the group, and no second pass is needed. The group's own weight gradients are smaller by r than in the
  direct form; exactly so where r runs over the batch.

The paper does not say whether the mean runs over a layer's outputs for one sample or for the batch; its equations are
for one sample, so that is the default.

In anybody's loop: replace `torch.tanh(z)` by `pseudo_norm(z, TANH)`, or `nn.Tanh()` by `PseudoNormalised(nn.Tanh())`;
for the dual form give it a `FeedbackPath(lowest_layer_of_the_group)`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import PseudoNorm
from gradscope.errors import ConfigError
from gradscope.methods.base import Method
from gradscope.methods.gain_node import gain_node
from gradscope.models.activations import find_activations, layer_before

Scope = Literal["sample", "batch"]

SMALLEST_RMS = 1e-12
"""Below this a layer is so saturated that there is no error left to restore; it keeps 0 / 0 from becoming NaN."""

_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, the values of torch


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """An activation with a derivative that varies smoothly."""

    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    """From the saved tensor: the activation's output, or its input where the output does not tell the derivative."""
    saves: Literal["output", "input"] = "output"


def _gelu_derivative(z: Tensor) -> Tensor:
    density = torch.exp(-0.5 * z * z) * 0.3989422804014327  # 1 / sqrt(2 pi)
    below: Tensor = torch.special.ndtr(z)
    return below + z * density


def _silu_derivative(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


def _selu_derivative(y: Tensor) -> Tensor:
    return torch.where(y > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA)


TANH = Smooth(function=torch.tanh, derivative=lambda y: 1 - y * y)
SIGMOID = Smooth(function=torch.sigmoid, derivative=lambda y: y * (1 - y))
SMOOTH: Mapping[type[nn.Module], Smooth] = {
    nn.Tanh: TANH,
    nn.Sigmoid: SIGMOID,
    nn.ELU: Smooth(function=functional.elu, derivative=lambda y: torch.where(y > 0, 1.0, y + 1)),
    nn.SELU: Smooth(function=torch.selu, derivative=_selu_derivative),
    nn.Softplus: Smooth(function=functional.softplus, derivative=lambda y: -torch.expm1(-y)),
    nn.GELU: Smooth(function=functional.gelu, derivative=_gelu_derivative, saves="input"),
    nn.SiLU: Smooth(function=functional.silu, derivative=_silu_derivative, saves="input"),
}
"""The activations that can be pseudo-normalised, with their default settings. A piecewise linear one (ReLU)
cannot: its derivative takes two values, the RMS only counts the active units, dividing by it would undo sparsity."""


def rms(derivative: Tensor, scope: Scope = "sample") -> Tensor:
    """RMS of the derivative, r = sqrt(mean f'^2) (eq. 14): at least 1e-12, and at most 1 where |f'| <= 1.

    Args:
        derivative: f'(z), [B, ...].
        scope: `sample`: one mean over all outputs of the layer for each of the B samples; `batch`: one over everything.

    Returns:
        [B, 1, ...] or [1, 1, ...], float32 or wider.
    """
    wide = derivative.float() if derivative.dtype in {torch.bfloat16, torch.float16} else derivative
    dims = tuple(range(1 if scope == "sample" else 0, wide.dim()))
    return wide.square().mean(dim=dims, keepdim=True).sqrt().clamp_min(SMALLEST_RMS)


def gain(derivative: Tensor, scope: Scope = "sample") -> Tensor:
    """1 / r, the factor by which the error that leaves the layer downwards grows; shapes as in `rms`."""
    return rms(derivative, scope).reciprocal()


Outlet = Callable[[Tensor, Tensor], Tensor]
"""From the plain error at z [B, ...] and the gain 1 / r to the error that goes on from here."""


def amplify(error: Tensor, gain: Tensor) -> Tensor:
    """The direct form: the error leaves the activation with its gain."""
    return error * gain


class _PseudoNormFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, smooth: Smooth, scope: Scope, outlet: Outlet) -> Tensor:  # Any: untyped in torch
        y = smooth.function(z)
        ctx.save_for_backward(y if smooth.saves == "output" else z)
        ctx.smooth, ctx.scope, ctx.outlet = smooth, scope, outlet
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None, None, None]:
        (saved,) = ctx.saved_tensors
        derivative = ctx.smooth.derivative(saved)
        return ctx.outlet(error * derivative, gain(derivative, ctx.scope)).to(error.dtype), None, None, None


def pseudo_norm(z: Tensor, smooth: Smooth = TANH, scope: Scope = "sample", outlet: Outlet = amplify) -> Tensor:
    """f(z) forward; backward, the error times f'(z) / RMS(f'(z)) instead of f'(z). Not the true gradient.

    Args:
        z: Pre-activations [B, ...].
        smooth: The activation f; one of `SMOOTH.values()` or your own.
        scope: What one RMS runs over, see `rms`.
        outlet: Where the gain 1 / r goes; into the error by default (the direct form).

    Returns:
        f(z), [B, ...]. Only the tensor that plain autograd would keep is saved for the backward pass.
    """
    out: Tensor = _PseudoNormFunction.apply(z, smooth, scope, outlet)
    return out


class _Passage:
    """One backward pass through a group of the dual form: the gain found at its top, used at its bottom."""

    def __init__(self) -> None:
        self.gain: Tensor | None = None

    def keep(self, error: Tensor, gain: Tensor) -> Tensor:
        self.gain = gain
        return error

    def leave(self, error: Tensor) -> Tensor:
        if self.gain is None:  # the top was not reached: nothing is known of its derivative
            return error
        return (error * self.gain.reshape(-1, *[1] * (error.dim() - 1))).to(error.dtype)


class FeedbackPath:
    """The second feedback path across one group: a gain node in front of the group's lowest layer."""

    def __init__(self, lowest: nn.Module) -> None:
        self.passage = _Passage()
        """Of the newest forward pass; each has its own, so that several may go forward before they go back."""
        lowest.register_forward_pre_hook(self)

    def __call__(self, layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        """The hook: the layer's inputs, the first behind the node."""
        if not layer.training:
            return None
        self.passage = _Passage()
        return (gain_node(inputs[0], self.passage.leave), *inputs[1:])


class PseudoNormalised(nn.Module):
    """An activation module with a pseudo-normalised backward pass while training.

    In eval mode it is the plain activation with its true gradient, because whoever differentiates a trained network
    (an attribution map, an adversarial picture) asks about the function and not about how it was trained.

    Args:
        activation: one of the kinds in `SMOOTH`.
        scope: what one RMS runs over, see `rms`.
        path: the path that takes the gain, in the dual form; without it the error takes it here, the direct form.
    """

    def __init__(self, activation: nn.Module, scope: Scope = "sample", path: FeedbackPath | None = None) -> None:
        super().__init__()
        if type(activation) not in SMOOTH:
            raise ConfigError(_not_smooth(activation))
        self.activation = activation
        self.scope = scope
        self.path = path

    def forward(self, z: Tensor) -> Tensor:
        """[B, ...] to [B, ...]."""
        if self.training:
            outlet = self.path.passage.keep if self.path else amplify
            return pseudo_norm(z, SMOOTH[type(self.activation)], self.scope, outlet)
        out: Tensor = self.activation(z)
        return out

    def extra_repr(self) -> str:
        """The form and what one RMS runs over, in the printed model."""
        return f"form={'dual' if self.path else 'direct'}, scope={self.scope}"


def _not_smooth(activation: nn.Module) -> str:
    names = ", ".join(kind.__name__ for kind in SMOOTH)
    return (
        f"pseudo_norm needs a smooth activation ({names}), not {type(activation).__name__}; "
        "choose another activation or leave pseudo_norm out"
    )


def chosen(n_activations: int, every: int) -> list[int]:
    """Which of the activations, numbered from the input, are normalised: the uppermost of each group of `every`.

    Groups are counted from the output and only complete ones take part. With 9 activations and every=2 these are number
    9, 7, 5 and 3 from the input, as in figure 1 of the paper: the first layer stays plain.

    >>> chosen(9, 2)
    [8, 6, 4, 2]
    """
    return [i for i in range(n_activations - 1, -1, -every) if i - every + 1 >= 0]


class PseudoNormMethod(Method):
    """Replaces every k-th activation module of the model, counted from the output."""

    def __init__(self, settings: PseudoNorm) -> None:
        self.settings = settings

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """Wrap the activations in place; ConfigError where one is not smooth or there are fewer than `every`."""
        every = self.settings.every
        activations = list(find_activations(model))
        indices = chosen(len(activations), every)
        if not indices:
            raise ConfigError(
                f"pseudo_norm with every={every} needs at least as many activations, the model has "
                f"{len(activations)}; lower methods.pseudo_norm.every, deepen the model or leave pseudo_norm out"
            )
        for i in indices:
            name, activation = activations[i]
            path = self._path(model, activations[i - every + 1][0])
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, PseudoNormalised(activation, self.settings.scope, path))
        return model

    def _path(self, model: nn.Module, lowest: str) -> FeedbackPath | None:
        """Across the group whose lowest activation has that name; None in the direct form."""
        if self.settings.form == "direct":
            return None
        layer = layer_before(model, lowest)
        if layer is None:
            raise ConfigError(
                f"pseudo_norm in its dual form finds no Linear or Conv2d before the activation {lowest}; "
                "choose methods.pseudo_norm.form=direct"
            )
        return FeedbackPath(layer)
