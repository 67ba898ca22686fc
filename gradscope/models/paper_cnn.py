"""The ten-layer convolutional networks of the pseudo-normalising paper (Bu et al. 2026, doi 10.3390/e28010057).

The paper states the number of convolutional and dense layers and tanh throughout; its tables of filters and strides are
lost to us, so widths and strides are a proposal: 3x3 kernels, padding 1, stride 2 in place of pooling, which it never
mentions.

At width 1:

| variant | layers | parameters (32x32 colour) |
|---|---|---|
| 1 | C32 C32 C64/2 C64 C128/2 C128 C128/2 C128 FC256, 10 classes | 1,109,290 |
| 2 | C64 C128/2 C192/2 C256/2 FC512 FC256 FC256 FC128 FC128, 10 classes | 3,085,130 |
| 3 | C96 C192/2 C256/2 C384/2 C512 FC1024 FC512 FC512 FC256, 100 classes | 12,600,612 |
"""

from itertools import pairwise

from torch import Tensor, nn

from gradscope.config import PaperCnn
from gradscope.models.blocks import Block
from gradscope.models.sizes import Shape, flat_size, paper_plan


class PaperCNN(nn.Module):
    """Convolutions, then dense layers, each with the same activation; no pooling, no norm, any picture size."""

    def __init__(self, settings: PaperCnn, in_shape: Shape, n_classes: int) -> None:
        super().__init__()
        plan = paper_plan(settings)
        channels = [in_shape[0], *plan.channels]
        sizes = [flat_size(plan, in_shape), *plan.dense]
        self.conv = nn.Sequential(
            *(
                Block(nn.Conv2d(i, o, 3, stride, padding=1), settings.activation)
                for (i, o), stride in zip(pairwise(channels), plan.strides, strict=True)
            )
        )
        self.flatten = nn.Flatten()
        self.dense = nn.Sequential(*(Block(nn.Linear(i, o), settings.activation) for i, o in pairwise(sizes)))
        self.output = nn.Linear(sizes[-1], n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] to logits [B, K]."""
        logits: Tensor = self.output(self.dense(self.flatten(self.conv(images))))
        return logits
