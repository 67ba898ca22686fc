"""Batch normalisation in front of every activation (Ioffe & Szegedy 2015, "Batch Normalization")."""

import torch
from torch import nn

from gradscope.config import BatchNorm
from gradscope.errors import ConfigError
from gradscope.methods.base import Method
from gradscope.models.blocks import fill_norms


class BatchNormMethod(Method):
    """y = gamma (x - mean) / sqrt(var + eps) + beta over the batch, in every empty norm slot of the model."""

    def __init__(self, settings: BatchNorm) -> None:
        self.settings = settings

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """Fill the slots in place; ConfigError where a model has none left, as a residual network."""
        if fill_norms(model) == 0:
            raise ConfigError(
                f"method batch_norm finds no activation without a norm in {type(model).__name__}; leave the method out"
            )
        return model
