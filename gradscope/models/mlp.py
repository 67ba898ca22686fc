"""Fully connected network on the flattened picture."""

from itertools import pairwise

from torch import Tensor, nn

from gradscope.config import Mlp
from gradscope.models.blocks import Block, fill_norms
from gradscope.models.sizes import Shape, n_pixels


class MLP(nn.Module):
    """depth - 1 hidden layers of `width` units, then the output layer.

    Hidden layer l computes a_l = f(z_l), z_l = W_l a_(l-1) + b_l; with shortcuts a_l = a_(l-1) + f(z_l) for l >= 2
    (the first layer changes the size, so it has none; He et al. 2016 without a projection).
    """

    def __init__(self, settings: Mlp, in_shape: Shape, n_classes: int) -> None:
        super().__init__()
        sizes = [n_pixels(in_shape), *[settings.width] * (settings.depth - 1)]
        self.residual = settings.residual
        self.flatten = nn.Flatten()
        self.hidden = nn.ModuleList(Block(nn.Linear(i, o), settings.activation) for i, o in pairwise(sizes))
        self.output = nn.Linear(sizes[-1], n_classes)
        if settings.batch_norm:
            fill_norms(self)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] to logits [B, K]."""
        x: Tensor = self.hidden[0](self.flatten(images))
        for block in self.hidden[1:]:
            x = x + block(x) if self.residual else block(x)
        logits: Tensor = self.output(x)
        return logits
