"""Residual network for small pictures (He et al. 2016, "Deep Residual Learning", section 4.2), shortcuts of option A.

| depth | parameters (width 16, 32x32 colour, 10 classes) | He et al., table 6 |
|---|---|---|
| 20 | 269,722 | 0.27 M |
| 32 | 464,154 | 0.46 M |
| 44 | 658,586 | 0.66 M |
| 56 | 853,018 | 0.85 M |
| 110 | 1,727,962 | 1.7 M |
"""

from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Activation, Resnet
from gradscope.models.activations import make_activation
from gradscope.models.sizes import Shape


class PadShortcut(nn.Module):
    """Option A: every second pixel when the block halves the picture, new channels filled with zeros on both sides."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.before = (out_channels - in_channels) // 2
        self.after = out_channels - in_channels - self.before

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', ceil(H / stride), ceil(W / stride)], without a weight."""
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.before + self.after == 0:
            return x
        return functional.pad(x, (0, 0, 0, 0, self.before, self.after))


def conv3x3(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    """A 3x3 convolution without bias: the batch norm behind it has one."""
    return nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)


class ResidualBlock(nn.Module):
    """f(shortcut(x) + norm2(conv2(f(norm1(conv1(x))))))."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = conv3x3(in_channels, out_channels, stride)
        self.norm1 = nn.BatchNorm2d(out_channels)
        self.activation1 = make_activation(activation)
        self.conv2 = conv3x3(out_channels, out_channels)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut = PadShortcut(in_channels, out_channels, stride)
        self.activation2 = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', H', W']."""
        inner = self.norm2(self.conv2(self.activation1(self.norm1(self.conv1(x)))))
        out: Tensor = self.activation2(self.shortcut(x) + inner)
        return out


class ResNet(nn.Module):
    """A convolution, three stages of n blocks (depth = 6n + 2) at width, 2 width and 4 width channels, mean, output."""

    def __init__(self, settings: Resnet, in_shape: Shape, n_classes: int) -> None:
        super().__init__()
        width, blocks = settings.width, (settings.depth - 2) // 6
        self.conv = conv3x3(in_shape[0], width)
        self.norm = nn.BatchNorm2d(width)
        self.activation = make_activation(settings.activation)
        self.stages = nn.Sequential(
            _stage(width, width, 1, blocks, settings.activation),
            _stage(width, 2 * width, 2, blocks, settings.activation),
            _stage(2 * width, 4 * width, 2, blocks, settings.activation),
        )
        self.output = nn.Linear(4 * width, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] to logits [B, K]; any H and W."""
        features = self.stages(self.activation(self.norm(self.conv(images))))
        logits: Tensor = self.output(features.mean(dim=(2, 3)))
        return logits


def _stage(in_channels: int, out_channels: int, stride: int, blocks: int, activation: Activation) -> nn.Sequential:
    first = ResidualBlock(in_channels, out_channels, stride, activation)
    others = (ResidualBlock(out_channels, out_channels, 1, activation) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)
