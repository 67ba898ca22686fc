"""The networks: our own fully connected one, a plain convolutional one, and stacked recurrent levels."""

from collections.abc import Callable, Mapping
from itertools import pairwise

from torch import Tensor, nn

from gradscope.config import Mlp
from gradscope.models.blocks import Block, fill_norms
from gradscope.models.mlp import MLP

Shape = tuple[int, int, int]


class ConvNet(nn.Module):
    """depth - 1 convolutions of 3x3, halved once in the middle, then a dense layer on the mean of each channel."""

    def __init__(self, settings: Mlp, in_shape: Shape, n_classes: int) -> None:
        super().__init__()
        channels = [in_shape[0], *[settings.width] * (settings.depth - 1)]
        halved = (settings.depth - 1) // 2
        self.residual = settings.residual
        self.hidden = nn.ModuleList(
            Block(nn.Conv2d(a, b, 3, padding=1, stride=2 if i == halved else 1), settings.activation)
            for i, (a, b) in enumerate(pairwise(channels))
        )
        self.output = nn.Linear(channels[-1], n_classes)
        if settings.batch_norm:
            fill_norms(self)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for block in self.hidden:
            out = block(x)
            x = x + out if self.residual and out.shape == x.shape else out
        return self.output(x.mean(dim=(2, 3)))


class RowReader(nn.Module):
    """Reads a picture row by row through depth - 1 recurrent levels; a dense layer on the last state."""

    def __init__(self, settings: Mlp, in_shape: Shape, n_classes: int, cell: Callable[..., nn.RNNBase]) -> None:
        super().__init__()
        channels, _, width = in_shape
        self.levels = cell(channels * width, settings.width, num_layers=settings.depth - 1, batch_first=True)
        self.output = nn.Linear(settings.width, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        rows = images.permute(0, 2, 1, 3).flatten(2)
        states, _ = self.levels(rows)
        return self.output(states[:, -1])


def _recurrent(cell: Callable[..., nn.RNNBase]) -> Callable[[Mlp, Shape, int], nn.Module]:
    return lambda settings, shape, n_classes: RowReader(settings, shape, n_classes, cell)


NETWORKS: Mapping[str, Callable[[Mlp, Shape, int], nn.Module]] = {
    "mlp": MLP,
    "cnn": ConvNet,
    "rnn": _recurrent(nn.RNN),
    "gru": _recurrent(nn.GRU),
    "lstm": _recurrent(nn.LSTM),
}
"""Each takes depth, width, activation, residual and batch_norm from the settings of an MLP."""
