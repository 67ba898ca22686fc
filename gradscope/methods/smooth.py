"""Activations whose derivative varies smoothly, with that derivative from what their backward pass has at hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.methods import slopes

_GELU_SCALE, _GELU_CUBE = 0.7978845608028654, 0.044715  # sqrt(2 / pi); Hendrycks & Gimpel 2016, section 2
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # Klambauer et al. 2017, the values of torch


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """An activation with a derivative that varies smoothly."""

    function: Callable[[Tensor], Tensor]
    derivative: Callable[[Tensor], Tensor]
    """From the saved tensor, the activation's output, or its input where the output does not tell the derivative, to a
    new tensor, which is changed in place afterwards."""
    saves: Literal["output", "input"] = "output"
    kind: int | None = None
    """Its number in `gradscope.methods.slopes`, where it has a compiled backward pass."""


def _gelu_derivative(z: Tensor) -> Tensor:
    density = torch.exp(-0.5 * z * z) * 0.3989422804014327  # 1 / sqrt(2 pi)
    below: Tensor = torch.special.ndtr(z)
    return below + z * density


def _gelu_of_tanh_derivative(z: Tensor) -> Tensor:
    """Of z (1 + tanh u) / 2 with u = sqrt(2 / pi) (z + 0.044715 z^3)."""
    t = torch.tanh(_GELU_SCALE * (z + _GELU_CUBE * z**3))
    return 0.5 * (1 + t) + 0.5 * z * (1 - t * t) * _GELU_SCALE * (1 + 3 * _GELU_CUBE * z * z)


def _silu_derivative(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


def _selu_derivative(y: Tensor) -> Tensor:
    return torch.where(y > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA)


def _tanh_derivative(y: Tensor) -> Tensor:
    return torch.addcmul(y.new_ones(()), y, y, value=-1)


def _sigmoid_derivative(y: Tensor) -> Tensor:
    return torch.addcmul(y, y, y, value=-1)


def _elu_derivative(y: Tensor, alpha: float) -> Tensor:
    return torch.where(y > 0, 1.0, y + alpha)


def _softplus_derivative(z: Tensor, beta: float, threshold: float) -> Tensor:
    """Beyond the threshold torch takes the line z itself."""
    return torch.where(beta * z > threshold, 1.0, torch.sigmoid(beta * z))


TANH = Smooth(function=torch.tanh, derivative=_tanh_derivative, kind=slopes.TANH)
SIGMOID = Smooth(function=torch.sigmoid, derivative=_sigmoid_derivative, kind=slopes.SIGMOID)
_SELU = Smooth(function=torch.selu, derivative=_selu_derivative)
_SILU = Smooth(function=functional.silu, derivative=_silu_derivative, saves="input")
_GELU: Mapping[str, Smooth] = {
    "none": Smooth(function=functional.gelu, derivative=_gelu_derivative, saves="input"),
    "tanh": Smooth(
        function=partial(functional.gelu, approximate="tanh"), derivative=_gelu_of_tanh_derivative, saves="input"
    ),
}


@cache  # one for all layers: a compiler takes each for something new
def _elu(alpha: float) -> Smooth:
    return Smooth(function=partial(functional.elu, alpha=alpha), derivative=partial(_elu_derivative, alpha=alpha))


@cache
def _softplus(beta: float, threshold: float) -> Smooth:
    return Smooth(
        function=partial(functional.softplus, beta=beta, threshold=threshold),
        derivative=partial(_softplus_derivative, beta=beta, threshold=threshold),
        saves="input",
    )


SMOOTH: Mapping[type[nn.Module], Callable[[Any], Smooth]] = {  # Any: each the module that it stands beside
    nn.Tanh: lambda _: TANH,
    nn.Sigmoid: lambda _: SIGMOID,
    nn.ELU: lambda module: _elu(module.alpha),
    nn.SELU: lambda _: _SELU,
    nn.Softplus: lambda module: _softplus(module.beta, module.threshold),
    nn.GELU: lambda module: _GELU[module.approximate],
    nn.SiLU: lambda _: _SILU,
}
"""The kinds of activations that can be pseudo-normalised. A piecewise linear one (ReLU) cannot: its derivative takes
two values, the RMS only counts the active units, dividing by it would undo sparsity."""


def smooth_of(activation: nn.Module) -> Smooth | None:
    """What the activation computes with its settings; None where it is of none of these kinds."""
    kind = SMOOTH.get(type(activation))
    return kind(activation) if kind else None
