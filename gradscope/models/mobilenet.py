"""MobileNet-V1 (Howard et al. 2017, arXiv 1704.04861, table 1), which torchvision does not have.

| width | parameters (224x224 colour, 1000 classes) | multiply-accumulates | Howard et al., table 6 |
|---|---|---|---|
| 1.0 | 4,231,976 | 569 M | 4.2 M, 569 M |
| 0.5 | 1,331,592 | 149 M | 1.3 M, 149 M |
"""

from torch import Tensor, nn

from gradscope.config import Activation, MobileNet
from gradscope.models.activations import make_activation
from gradscope.models.blocks import resize
from gradscope.models.sizes import MOBILENET, Shape, scaled


class SeparableBlock(nn.Module):
    """A 3x3 convolution of each channel by itself, then a 1x1 across them, each with its norm and activation."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False)
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.activation1 = make_activation(activation)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.activation2 = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', ceil(H / stride), ceil(W / stride)]."""
        inner = self.activation1(self.norm1(self.depthwise(x)))
        out: Tensor = self.activation2(self.norm2(self.pointwise(inner)))
        return out


class MobileNetV1(nn.Module):
    """A convolution, thirteen separable blocks, mean, output."""

    def __init__(self, settings: MobileNet, in_shape: Shape, n_classes: int) -> None:
        super().__init__()
        self.size = settings.size
        first, *widths = (scaled(channels, settings.width) for channels, _ in MOBILENET)
        stride = 2 if settings.stem == "imagenet" else 1
        self.conv = nn.Conv2d(in_shape[0], first, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(first)
        self.activation = make_activation(settings.activation)
        pairs = zip([first, *widths[:-1]], widths, MOBILENET[1:], strict=True)
        self.blocks = nn.Sequential(
            *(SeparableBlock(before, after, stride, settings.activation) for before, after, (_, stride) in pairs)
        )
        self.output = nn.Linear(widths[-1], n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] to logits [B, K]; any H and W."""
        resized = resize(images, self.size)
        features = self.blocks(self.activation(self.norm(self.conv(resized))))
        logits: Tensor = self.output(features.mean(dim=(2, 3)))
        return logits
