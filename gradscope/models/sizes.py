"""How many parameters a network has, by arithmetic alone: the launch page asks at every key stroke and has no torch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from typing import Any

from gradscope.config import InceptionBn, Mlp, MobileNet, PaperCnn, Resnet, Settings, Torchvision
from gradscope.models.sizes_inception import convolutions, features
from gradscope.models.sizes_zoo import ZOO, Cost, cost_of

Shape = tuple[int, int, int]
"""Channels, height and width of a picture."""


@dataclass(frozen=True, kw_only=True)
class ConvPlan:
    """Channels and stride of each 3x3 convolution, then units of each dense layer before the output layer."""

    channels: tuple[int, ...]
    strides: tuple[int, ...]
    dense: tuple[int, ...]


PAPER_CNN: Mapping[int, ConvPlan] = {
    1: ConvPlan(channels=(32, 32, 64, 64, 128, 128, 128, 128), strides=(1, 1, 2, 1, 2, 1, 2, 1), dense=(256,)),
    2: ConvPlan(channels=(64, 128, 192, 256), strides=(1, 2, 2, 2), dense=(512, 256, 256, 128, 128)),
    3: ConvPlan(channels=(96, 192, 256, 384, 512), strides=(1, 2, 2, 2, 1), dense=(1024, 512, 512, 256)),
}
"""The variants of paper_cnn at width 1."""

MOBILENET: tuple[tuple[int, int], ...] = (
    *((32, 2), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)),
    *((512, 1),) * 5,
    *((1024, 2), (1024, 1)),
)
"""Channels and stride of MobileNet-V1's first convolution and of each separable block; the small stem strides by 1."""


def scaled(channels: int, width: float) -> int:
    """Channels times the width multiplier, at least one."""
    return max(1, round(channels * width))


def paper_plan(settings: PaperCnn) -> ConvPlan:
    """Channels, strides and units of one of the pseudo-normalising paper's networks, at its width."""
    plan, width = PAPER_CNN[settings.variant], settings.width
    channels, dense = (tuple(scaled(n, width) for n in sizes) for sizes in (plan.channels, plan.dense))
    return ConvPlan(channels=channels, strides=plan.strides, dense=dense)


def n_pixels(shape: Shape) -> int:
    """Numbers in a picture: channels x height x width."""
    return prod(shape)


def flat_size(plan: ConvPlan, in_shape: Shape) -> int:
    """Numbers that leave the last convolution; with padding 1 a stride of 2 halves each side and rounds up."""
    _, height, width = in_shape
    for stride in plan.strides:
        height, width = -(-height // stride), -(-width // stride)
    return plan.channels[-1] * height * width


def n_parameters(settings: Settings, in_shape: Shape, n_classes: int, batch_norm_method: bool = False) -> int:
    """Trainable numbers of the network that `build_model` would make.

    Args:
        settings: The model.
        in_shape: Channels, height and width of a picture.
        n_classes: Number of classes.
        batch_norm_method: Whether the method `batch_norm` is applied as well.
    """
    return _COUNTS[type(settings)](settings, in_shape, n_classes, batch_norm_method)


def n_macs(settings: Settings, in_shape: Shape, n_classes: int) -> int:
    """Multiply-accumulates of the convolutions and dense layers in one forward pass of one picture.

    Of a torchvision network exact for 32x32 with the small stem and for its published size with its own; in proportion
    to the pixels for other pictures.

    Args:
        settings: The model.
        in_shape: Channels, height and width of a picture.
        n_classes: Number of classes.
    """
    return _MACS[type(settings)](settings, in_shape, n_classes)


def _dense(sizes: list[int]) -> int:
    return sum(i * o + o for i, o in pairwise(sizes))


def _mlp(settings: Mlp, in_shape: Shape, n_classes: int, batch_norm: bool) -> int:
    hidden = [settings.width] * (settings.depth - 1)
    norms = 2 * sum(hidden) if batch_norm or settings.batch_norm else 0
    return _dense([n_pixels(in_shape), *hidden, n_classes]) + norms


def _paper_cnn(settings: PaperCnn, in_shape: Shape, n_classes: int, batch_norm: bool) -> int:
    plan = paper_plan(settings)
    conv = sum(9 * i * o + o for i, o in pairwise([in_shape[0], *plan.channels]))
    norms = 2 * sum(plan.channels + plan.dense) if batch_norm else 0
    return conv + _dense([flat_size(plan, in_shape), *plan.dense, n_classes]) + norms


def _resnet(settings: Resnet, in_shape: Shape, n_classes: int, batch_norm: bool) -> int:
    # every convolution has its batch norm (2 numbers a channel) from the start, so the method changes nothing
    width, blocks = settings.width, (settings.depth - 2) // 6
    pairs = [(in_shape[0], width)]
    for before, after in ((width, width), (width, 2 * width), (2 * width, 4 * width)):
        pairs += [(before, after)] + [(after, after)] * (2 * blocks - 1)
    return sum(9 * i * o + 2 * o for i, o in pairs) + _dense([4 * width, n_classes])


def _mobilenet(settings: MobileNet, in_shape: Shape, n_classes: int, batch_norm: bool) -> int:
    first, *widths = (scaled(channels, settings.width) for channels, _ in MOBILENET)
    blocks = sum(9 * i + 2 * i + i * o + 2 * o for i, o in pairwise([first, *widths]))
    return 9 * in_shape[0] * first + 2 * first + blocks + _dense([widths[-1], n_classes])


def _inception_bn(settings: InceptionBn, in_shape: Shape, n_classes: int, batch_norm: bool) -> int:
    weights = sum(c.kernel**2 * c.before * c.after + 2 * c.after for c in convolutions(settings, in_shape))
    return weights + _dense([features(settings), n_classes])


def _torchvision(settings: Torchvision, in_shape: Shape, n_classes: int, batch_norm: bool) -> int:
    return _torchvision_cost(settings, in_shape, n_classes).parameters


def _torchvision_cost(settings: Torchvision, in_shape: Shape, n_classes: int) -> Cost:
    pixels = settings.size**2 if settings.size else in_shape[1] * in_shape[2]
    small = settings.stem == "small"
    return cost_of(ZOO[settings.architecture], small=small, channels=in_shape[0], pixels=pixels, n_classes=n_classes)


# Any: each count takes the settings class it stands beside
_COUNTS: Mapping[type[Settings], Callable[[Any, Shape, int, bool], int]] = {
    Mlp: _mlp,
    PaperCnn: _paper_cnn,
    Resnet: _resnet,
    MobileNet: _mobilenet,
    InceptionBn: _inception_bn,
    Torchvision: _torchvision,
}


def _mlp_macs(settings: Mlp, in_shape: Shape, n_classes: int) -> int:
    sizes = [n_pixels(in_shape), *[settings.width] * (settings.depth - 1), n_classes]
    return sum(i * o for i, o in pairwise(sizes))


def _paper_cnn_macs(settings: PaperCnn, in_shape: Shape, n_classes: int) -> int:
    plan = paper_plan(settings)
    sizes = [flat_size(plan, in_shape), *plan.dense, n_classes]
    strides = zip(pairwise([in_shape[0], *plan.channels]), plan.strides, strict=True)
    return _conv_macs([(i, o, stride) for (i, o), stride in strides], in_shape) + sum(i * o for i, o in pairwise(sizes))


def _resnet_macs(settings: Resnet, in_shape: Shape, n_classes: int) -> int:
    width, blocks = settings.width, (settings.depth - 2) // 6
    convs = [(in_shape[0], width, 1)]
    for before, after, stride in ((width, width, 1), (width, 2 * width, 2), (2 * width, 4 * width, 2)):
        convs += [(before, after, stride)] + [(after, after, 1)] * (2 * blocks - 1)
    return _conv_macs(convs, in_shape) + 4 * width * n_classes


def _mobilenet_macs(settings: MobileNet, in_shape: Shape, n_classes: int) -> int:
    first, *widths = (scaled(channels, settings.width) for channels, _ in MOBILENET)
    stride = 2 if settings.stem == "imagenet" else 1
    height, width = (-(-(settings.size or side) // stride) for side in in_shape[1:])
    total = 9 * in_shape[0] * first * height * width
    for (before, after), (_, stride) in zip(pairwise([first, *widths]), MOBILENET[1:], strict=True):
        height, width = -(-height // stride), -(-width // stride)
        total += (9 * before + before * after) * height * width
    return total + widths[-1] * n_classes


def _inception_bn_macs(settings: InceptionBn, in_shape: Shape, n_classes: int) -> int:
    convs = convolutions(settings, in_shape)
    return sum(c.kernel**2 * c.before * c.after * c.pixels for c in convs) + features(settings) * n_classes


def _torchvision_macs(settings: Torchvision, in_shape: Shape, n_classes: int) -> int:
    return _torchvision_cost(settings, in_shape, n_classes).macs


def _conv_macs(convs: list[tuple[int, int, int]], in_shape: Shape) -> int:
    """Of 3x3 convolutions with padding 1, each with channels in, channels out and stride."""
    _, height, width = in_shape
    total = 0
    for i, o, stride in convs:
        height, width = -(-height // stride), -(-width // stride)
        total += 9 * i * o * height * width
    return total


# Any: as above
_MACS: Mapping[type[Settings], Callable[[Any, Shape, int], int]] = {
    Mlp: _mlp_macs,
    PaperCnn: _paper_cnn_macs,
    Resnet: _resnet_macs,
    MobileNet: _mobilenet_macs,
    InceptionBn: _inception_bn_macs,
    Torchvision: _torchvision_macs,
}
