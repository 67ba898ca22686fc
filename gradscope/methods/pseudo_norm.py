r"""Pseudo-normalised gradients (Bu, Jiang, Lu & Zhang 2026, Entropy 28(1) 57, doi 10.3390/e28010057).

The backward pass multiplies the error at layer l by f'(z_l). Where |f'| <= 1, as in tanh, a product of many such
factors vanishes. The method divides the derivative of every k-th activation by its root mean square (eq. 14):

    r_l = sqrt(mean_i f'(z_l,i)^2),     d_l = (W_(l+1)^T d_(l+1)) * f'(z_l) / r_l

The forward pass is unchanged, so **the result is not the gradient of the loss**, and it is not meant to be: it is a
direction of descent with a gain of 1 / r_l for everything below. "Pseudo", because no mean is subtracted.

This is the direct form: in the plain chain of factors (eq. 15) every other f' is replaced. The paper does not say
whether the mean runs over a layer's outputs for one sample or for the batch; its equations are for one sample, so that
is the default.

In anybody's loop: replace `torch.tanh(z)` by `pseudo_norm(z, TANH)`, or `nn.Tanh()` by `PseudoNormalised(nn.Tanh())`.
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
from gradscope.models.activations import find_activations

Per = Literal["sample", "batch"]

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


def rms(derivative: Tensor, per: Per = "sample") -> Tensor:
    """RMS of the derivative, r = sqrt(mean f'^2) (eq. 14): at least 1e-12, and at most 1 where |f'| <= 1.

    Args:
        derivative: f'(z), [B, ...].
        per: `sample`: one mean over all outputs of the layer for each of the B samples; `batch`: one over everything.

    Returns:
        [B, 1, ...] or [1, 1, ...], float32 or wider.
    """
    wide = derivative.float() if derivative.dtype in {torch.bfloat16, torch.float16} else derivative
    dims = tuple(range(1 if per == "sample" else 0, wide.dim()))
    return wide.square().mean(dim=dims, keepdim=True).sqrt().clamp_min(SMALLEST_RMS)


def gain(derivative: Tensor, per: Per = "sample") -> Tensor:
    """1 / r, the factor by which the error that leaves the layer downwards grows; shapes as in `rms`."""
    return rms(derivative, per).reciprocal()


class _PseudoNormFunction(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, smooth: Smooth, per: Per) -> Tensor:  # Any: torch gives its context no type
        y = smooth.function(z)
        ctx.save_for_backward(y if smooth.saves == "output" else z)
        ctx.smooth, ctx.per = smooth, per
        return y

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, error: Tensor) -> tuple[Tensor, None, None]:
        (saved,) = ctx.saved_tensors
        derivative = ctx.smooth.derivative(saved)
        return (error * derivative / rms(derivative, ctx.per)).to(error.dtype), None, None


def pseudo_norm(z: Tensor, smooth: Smooth = TANH, per: Per = "sample") -> Tensor:
    """f(z) forward; backward, the error times f'(z) / RMS(f'(z)) instead of f'(z). Not the true gradient.

    Args:
        z: Pre-activations [B, ...].
        smooth: The activation f; one of `SMOOTH.values()` or your own.
        per: What one RMS runs over, see `rms`.

    Returns:
        f(z), [B, ...]. Only the tensor that plain autograd would keep is saved for the backward pass.
    """
    out: Tensor = _PseudoNormFunction.apply(z, smooth, per)
    return out


class PseudoNormalised(nn.Module):
    """An activation module with a pseudo-normalised backward pass while training.

    In eval mode it is the plain activation with its true gradient, because whoever differentiates a trained network
    (an attribution map, an adversarial picture) asks about the function and not about how it was trained.
    """

    def __init__(self, activation: nn.Module, per: Per = "sample") -> None:
        super().__init__()
        if type(activation) not in SMOOTH:
            raise ConfigError(_not_smooth(activation))
        self.activation = activation
        self.per = per

    def forward(self, z: Tensor) -> Tensor:
        """[B, ...] to [B, ...]."""
        if self.training:
            return pseudo_norm(z, SMOOTH[type(self.activation)], self.per)
        out: Tensor = self.activation(z)
        return out

    def extra_repr(self) -> str:
        """What one RMS runs over, in the printed model."""
        return f"per={self.per}"


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
        activations = list(find_activations(model))
        indices = chosen(len(activations), self.settings.every)
        if not indices:
            raise ConfigError(
                f"pseudo_norm with every={self.settings.every} needs at least as many activations, the model has "
                f"{len(activations)}; lower methods.pseudo_norm.every, deepen the model or leave pseudo_norm out"
            )
        for name, activation in (activations[i] for i in indices):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, PseudoNormalised(activation, self.settings.per))
        return model
