"""Activations whose derivative varies smoothly, with that derivative from what their backward pass has at hand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.methods import slopes

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


def _silu_derivative(z: Tensor) -> Tensor:
    s = torch.sigmoid(z)
    return s * (1 + z * (1 - s))


def _selu_derivative(y: Tensor) -> Tensor:
    return torch.where(y > 0, _SELU_SCALE, y + _SELU_SCALE * _SELU_ALPHA)


def _tanh_derivative(y: Tensor) -> Tensor:
    return torch.addcmul(y.new_ones(()), y, y, value=-1)


def _sigmoid_derivative(y: Tensor) -> Tensor:
    return torch.addcmul(y, y, y, value=-1)


def _elu_derivative(y: Tensor) -> Tensor:
    return torch.where(y > 0, 1.0, y + 1)


def _softplus_derivative(y: Tensor) -> Tensor:
    return -torch.expm1(-y)


TANH = Smooth(function=torch.tanh, derivative=_tanh_derivative, kind=slopes.TANH)
SIGMOID = Smooth(function=torch.sigmoid, derivative=_sigmoid_derivative, kind=slopes.SIGMOID)
SMOOTH: Mapping[type[nn.Module], Smooth] = {
    nn.Tanh: TANH,
    nn.Sigmoid: SIGMOID,
    nn.ELU: Smooth(function=functional.elu, derivative=_elu_derivative),
    nn.SELU: Smooth(function=torch.selu, derivative=_selu_derivative),
    nn.Softplus: Smooth(function=functional.softplus, derivative=_softplus_derivative),
    nn.GELU: Smooth(function=functional.gelu, derivative=_gelu_derivative, saves="input"),
    nn.SiLU: Smooth(function=functional.silu, derivative=_silu_derivative, saves="input"),
}
"""The activations that can be pseudo-normalised, with their default settings. A piecewise linear one (ReLU)
cannot: its derivative takes two values, the RMS only counts the active units, dividing by it would undo sparsity."""
