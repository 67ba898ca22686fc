"""BN-Inception (Ioffe & Szegedy 2015, arXiv 1502.03167, figure 5 of the appendix), which torchvision does not have.

| width | parameters (224x224 colour, 1000 classes) | multiply-accumulates |
|---|---|---|
| 1.0 | 11,285,224 | 2.03 G |

The port of Caffe's weights to PyTorch (Cadene, pretrained-models.pytorch) has 11,295,240: the same weights and 10,016
biases of convolutions that stand before a batch norm, where they do nothing. The paper's text says 13.6 M, which the
channels of its own figure do not give. Poolings that halve a map pad it by one pixel, so that any size of picture fits;
Caffe's round up instead, and the first convolution of the paper is a separable one of equal output, ours an ordinary.
"""

from collections import OrderedDict
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from gradscope.config import Activation, InceptionBn
from gradscope.models.activations import make_activation
from gradscope.models.blocks import resize
from gradscope.models.sizes import Shape
from gradscope.models.sizes_inception import Mixed, channels_after, scaled_modules, scaled_stem

_POOLINGS: Mapping[str, Callable[[int, int, int], nn.Module]] = {"mean": nn.AvgPool2d, "largest": nn.MaxPool2d}


class ConvBlock(nn.Module):
    """activation(norm(conv(x))), the map kept or halved."""

    def __init__(self, before: int, after: int, kernel: int, activation: Activation, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(before, after, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', ceil(H / stride), ceil(W / stride)]."""
        out: Tensor = self.activation(self.norm(self.conv(x)))
        return out


class MixedModule(nn.Module):
    """Up to four branches side by side; their channels one after the other are the output."""

    def __init__(self, mixed: Mixed, before: int, activation: Activation) -> None:
        super().__init__()
        (three, threes), (double, doubles), stride = mixed.three, mixed.double, mixed.stride
        branches: dict[str, nn.Module] = {}
        if mixed.one:
            branches["conv1"] = ConvBlock(before, mixed.one, 1, activation)
        branches["conv3"] = nn.Sequential(
            ConvBlock(before, three, 1, activation), ConvBlock(three, threes, 3, activation, stride)
        )
        branches["conv3_twice"] = nn.Sequential(
            ConvBlock(before, double, 1, activation),
            ConvBlock(double, doubles, 3, activation),
            ConvBlock(doubles, doubles, 3, activation, stride),
        )
        pooled: list[nn.Module] = [_POOLINGS[mixed.pooling](3, stride, 1)]
        if mixed.pool:
            pooled.append(ConvBlock(before, mixed.pool, 1, activation))
        branches["pooled"] = nn.Sequential(*pooled)
        self.branches = nn.ModuleDict(branches)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] to [B, C', ceil(H / stride), ceil(W / stride)]."""
        return torch.cat([branch(x) for branch in self.branches.values()], dim=1)


class InceptionBN(nn.Module):
    """Three convolutions, ten modules named as in the paper (`mixed.3a` to `mixed.5b`), mean, output."""

    def __init__(self, settings: InceptionBn, in_shape: Shape, n_classes: int) -> None:
        super().__init__()
        self.size = settings.size
        self.stem = _stem(settings, in_shape[0])
        channels, modules = scaled_stem(settings.width)[-1], OrderedDict[str, nn.Module]()
        for name, mixed in scaled_modules(settings.width).items():
            modules[name] = MixedModule(mixed, channels, settings.activation)
            channels = channels_after(mixed, channels)
        self.mixed = nn.Sequential(modules)
        self.output = nn.Linear(channels, n_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] to logits [B, K]; any H and W."""
        features = self.mixed(self.stem(resize(images, self.size)))
        logits: Tensor = self.output(features.mean(dim=(2, 3)))
        return logits


def _stem(settings: InceptionBn, channels: int) -> nn.Sequential:
    first, reduced, last = scaled_stem(settings.width)
    make, published = settings.activation, settings.stem == "imagenet"
    layers: dict[str, nn.Module] = {
        "conv1": ConvBlock(channels, first, 7 if published else 3, make, stride=2 if published else 1),
        "pool1": nn.MaxPool2d(3, 2, 1),
        "reduce2": ConvBlock(first, reduced, 1, make),
        "conv2": ConvBlock(reduced, last, 3, make),
        "pool2": nn.MaxPool2d(3, 2, 1),
    }
    return nn.Sequential(
        OrderedDict((name, layer) for name, layer in layers.items() if published or not name.startswith("pool"))
    )
