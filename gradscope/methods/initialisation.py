"""How the weights begin: LeCun, Xavier, He or orthogonal, times a gain, and random biases."""

from collections.abc import Callable, Mapping
from math import sqrt

import torch
from torch import Tensor, nn

from gradscope.config import Initialisation
from gradscope.errors import ConfigError
from gradscope.methods.base import Method


def fans(weight: Tensor) -> tuple[int, int]:
    """Fan-in and fan-out of a weight [out, in, *kernel]: connections into and out of one unit, kernel included."""
    kernel = weight[0][0].numel()
    return weight.shape[1] * kernel, weight.shape[0] * kernel


def lecun(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Normal with variance 1 / fan_in (LeCun et al. 1998, "Efficient BackProp", section 4.6)."""
    return _normal(weight, 1 / fans(weight)[0], generator)


def xavier(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Normal with variance 2 / (fan_in + fan_out) (Glorot & Bengio 2010, eq. 12)."""
    return _normal(weight, 2 / sum(fans(weight)), generator)


def he(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Normal with variance 2 / fan_in (He et al. 2015, "Delving Deep into Rectifiers", eq. 10)."""
    return _normal(weight, 2 / fans(weight)[0], generator)


def orthogonal(weight: Tensor, generator: torch.Generator) -> Tensor:
    """Orthonormal rows (columns where there are more rows) of the weight as [out, in x kernel] (Saxe et al. 2014)."""
    return nn.init.orthogonal_(_like(weight, generator), generator=generator)


SCHEMES: Mapping[str, Callable[[Tensor, torch.Generator], Tensor]] = {
    "lecun": lecun,
    "xavier": xavier,
    "he": he,
    "orthogonal": orthogonal,
}
"""Each takes a weight [out, in, *kernel] and a generator, and gives new values on the generator's device."""


def _like(weight: Tensor, generator: torch.Generator) -> Tensor:
    # drawn where the generator lives, so that a seed gives the same weights on every device
    return torch.empty(weight.shape, dtype=weight.dtype, device=generator.device)


def _normal(weight: Tensor, variance: float, generator: torch.Generator) -> Tensor:
    return _like(weight, generator).normal_(0.0, sqrt(variance), generator=generator)


class InitialisationMethod(Method):
    """Draws every Linear and Conv2d of the model anew, in the order of its modules; norms keep theirs."""

    def __init__(self, settings: Initialisation) -> None:
        self.settings = settings

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """Weights: the scheme times the gain; biases: normal with standard deviation bias_std."""
        layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        if not layers:
            raise ConfigError(
                f"method initialisation finds no Linear or Conv2d in {type(model).__name__}; leave it out"
            )
        draw = SCHEMES[self.settings.scheme]
        with torch.no_grad():
            for layer in layers:
                layer.weight.copy_(draw(layer.weight, generator) * self.settings.gain)
                if layer.bias is not None:
                    noise = _like(layer.bias, generator).normal_(generator=generator)
                    layer.bias.copy_(noise * self.settings.bias_std)
        return model
