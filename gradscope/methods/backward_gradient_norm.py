"""Backward gradient normalisation (Cabana & Lago-Fernandez 2021, arXiv 2106.09475).

Stated: normalisation layers at certain points leave the forward pass alone and rescale the back-propagated error, so
that it neither vanishes nor explodes. Inferred: the error is divided by its own L2 norm. The constant and whether the
norm runs over a sample or the batch are lost to us; they are settings. All information of scale is removed: what the
loss says about how wrong a batch is no longer reaches the layers below a node.
"""

import torch
from torch import Tensor, nn

from gradscope.config import BackwardGradientNorm
from gradscope.errors import ConfigError
from gradscope.methods.base import Method
from gradscope.methods.gain_node import InputGain, in_units_of_largest
from gradscope.models.activations import weight_layers


def normalised(error: Tensor, scope: str, norm: str) -> Tensor:
    """The error / |error|, |error| an L2 norm or a root mean square over each sample or the batch.

    Of errors of any size that their type can hold, since no square of one is formed. Zero stays zero; where one element
    is not finite, everything that shares its norm becomes NaN.

    Args:
        error: [B, ...].
        scope: sample or batch.
        norm: l2 or rms.
    """
    dims = tuple(range(1 if scope == "sample" else 0, error.dim()))
    units, _ = in_units_of_largest(error, dims)
    size: Tensor = torch.linalg.vector_norm(units, dim=dims, keepdim=True).clamp_min_(1)  # less is only a row of zeros
    if norm == "rms":
        size /= (units.numel() / size.numel()) ** 0.5
    return units.div_(size).to(error.dtype)


class BackwardGradientNormMethod(Method):
    """Divides the error by its norm at the input of every k-th layer, counted from the output layer."""

    def __init__(self, settings: BackwardGradientNorm) -> None:
        self.settings = settings

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """Put the nodes in; ConfigError where there are fewer layers than `every`."""
        layers = weight_layers(model)
        # in front of the first layer there is nothing to train
        chosen = layers[len(layers) - self.settings.every : 0 : -self.settings.every]
        if not chosen:
            raise ConfigError(
                f"backward_gradient_norm with every={self.settings.every} needs more layers than that, the model has "
                f"{len(layers)}; lower methods.backward_gradient_norm.every or leave it out"
            )
        for layer in chosen:
            InputGain(layer, self.settings.name, self.scaled)
        return model

    def scaled(self, error: Tensor) -> Tensor:
        """The error [B, ...] over its norm."""
        return normalised(error, self.settings.scope, self.settings.norm)
