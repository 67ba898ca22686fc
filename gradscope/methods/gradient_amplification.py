"""Gradient amplification (Basodi, Ji, Zhang & Pan 2020, arXiv 2006.10560, Big Data Mining and Analytics 3(3)).

Stated: during the backward pass the gradients of some layers, a random subset of those eligible, are multiplied by a
factor; this is switched on in some epochs and off in others. Inferred: the factor stands at the layer's output, so that
the layer's own gradient and the error below both grow; every hidden Linear and Conv2d is eligible. The factor, the
share of layers and the epochs are lost to us; they are settings.
"""

import torch
from torch import Tensor, nn

from gradscope.config import GradientAmplification
from gradscope.errors import ConfigError
from gradscope.methods.base import Method
from gradscope.methods.gain_node import OutputGain
from gradscope.models.activations import weight_layers


class GradientAmplificationMethod(Method):
    """Multiplies the error at some hidden layers by a constant, in some epochs."""

    def __init__(self, settings: GradientAmplification) -> None:
        self.settings = settings
        self.factor = torch.tensor(1.0)
        """1 in the epochs without amplification; a tensor, so that a captured step follows it."""

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """Draw the layers and put a node behind each; ConfigError where a model has no hidden layer."""
        hidden = weight_layers(model)[:-1]
        if not hidden:
            raise ConfigError(
                f"method gradient_amplification finds no hidden layer in {type(model).__name__}; leave it out"
            )
        n = max(1, round(self.settings.ratio * len(hidden)))
        for i in torch.randperm(len(hidden), generator=generator)[:n].tolist():
            OutputGain(hidden[i], self.settings.name, self.amplified)
        self.at_epoch(model, 0, 1)
        return model

    def at_epoch(self, model: nn.Module, epoch: int, epochs: int) -> None:
        """On while the share of the training done lies within the settings' begin and end."""
        on = self.settings.begin <= epoch / epochs < self.settings.end
        self.factor.fill_(self.settings.factor if on else 1.0)

    def amplified(self, error: Tensor) -> Tensor:
        """The error times the present factor."""
        if self.factor.device != error.device:
            self.factor = self.factor.to(error.device)
        return error * self.factor.to(error.dtype)
