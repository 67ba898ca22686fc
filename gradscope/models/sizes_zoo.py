"""What torchvision's networks cost, as constants: counted once from the networks, and checked against them by tests."""

from collections.abc import Mapping
from dataclasses import dataclass

from gradscope.config.models import Architecture


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Of a network on one picture."""

    parameters: int
    macs: int
    """Multiply-accumulates of one forward pass."""


@dataclass(frozen=True, kw_only=True)
class Stem:
    """One form of a network, without its first convolution and its output layer."""

    side: int
    """Of the pictures for which the rest is counted."""
    kernel: int
    """Of the first convolution."""
    first: int
    """Pixels on a side of the first convolution's output."""
    parameters: int
    macs: int
    features: int
    """What the output layer gets."""
    positions: int = 1
    """At how many places the output layer is applied, where it is a convolution."""


@dataclass(frozen=True, kw_only=True)
class Zoo:
    """A network of torchvision."""

    conv: str
    """Name of the first convolution."""
    output: str
    """Name of the output layer."""
    channels: int
    """Of the first convolution."""
    bias: bool
    """Whether the first convolution has one."""
    imagenet: Stem
    small: Stem | None
    """None: the network has only the stem as published."""


def cost_of(zoo: Zoo, *, small: bool, channels: int, pixels: int, n_classes: int) -> Cost:
    """Parameters, and multiply-accumulates in proportion to the pixels of the picture."""
    stem = zoo.small if small and zoo.small else zoo.imagenet
    first, output = stem.kernel**2 * channels * zoo.channels, stem.features * n_classes
    share = pixels / stem.side**2
    return Cost(
        parameters=stem.parameters + first + zoo.bias * zoo.channels + output + n_classes,
        macs=round(share * (stem.macs + first * stem.first**2)) + stem.positions * output,
    )


ZOO: Mapping[Architecture, Zoo] = {
    "resnet18": Zoo(
        conv="conv1",
        output="fc",
        channels=64,
        bias=False,
        imagenet=Stem(side=224, kernel=7, first=112, parameters=11_167_104, macs=1_695_547_392, features=512),
        small=Stem(side=32, kernel=3, first=32, parameters=11_167_104, macs=553_648_128, features=512),
    ),
    "resnet34": Zoo(
        conv="conv1",
        output="fc",
        channels=64,
        bias=False,
        imagenet=Stem(side=224, kernel=7, first=112, parameters=21_275_264, macs=3_545_235_456, features=512),
        small=Stem(side=32, kernel=3, first=32, parameters=21_275_264, macs=1_157_627_904, features=512),
    ),
    "resnet50": Zoo(
        conv="conv1",
        output="fc",
        channels=64,
        bias=False,
        imagenet=Stem(side=224, kernel=7, first=112, parameters=23_498_624, macs=3_969_122_304, features=2_048),
        small=Stem(side=32, kernel=3, first=32, parameters=23_498_624, macs=1_296_039_936, features=2_048),
    ),
    "resnet101": Zoo(
        conv="conv1",
        output="fc",
        channels=64,
        bias=False,
        imagenet=Stem(side=224, kernel=7, first=112, parameters=42_490_752, macs=7_681_343_488, features=2_048),
        small=Stem(side=32, kernel=3, first=32, parameters=42_490_752, macs=2_508_193_792, features=2_048),
    ),
    "densenet121": Zoo(
        conv="features.conv0",
        output="classifier",
        channels=64,
        bias=False,
        imagenet=Stem(side=224, kernel=7, first=112, parameters=6_944_448, macs=2_715_123_712, features=1_024),
        small=Stem(side=32, kernel=3, first=32, parameters=6_944_448, macs=886_571_008, features=1_024),
    ),
    "densenet169": Zoo(
        conv="features.conv0",
        output="classifier",
        channels=64,
        bias=False,
        imagenet=Stem(side=224, kernel=7, first=112, parameters=12_475_072, macs=3_240_165_376, features=1_664),
        small=Stem(side=32, kernel=3, first=32, parameters=12_475_072, macs=1_058_013_184, features=1_664),
    ),
    "mobilenet_v2": Zoo(
        conv="features.0.0",
        output="classifier.1",
        channels=32,
        bias=False,
        imagenet=Stem(side=224, kernel=3, first=112, parameters=2_223_008, macs=288_656_256, features=1_280),
        small=Stem(side=32, kernel=3, first=32, parameters=2_223_008, macs=23_563_776, features=1_280),
    ),
    "mobilenet_v3_small": Zoo(
        conv="features.0.0",
        output="classifier.3",
        channels=16,
        bias=False,
        imagenet=Stem(side=224, kernel=3, first=112, parameters=1_517_424, macs=50_067_392, features=1_024),
        small=Stem(side=32, kernel=3, first=32, parameters=1_517_424, macs=5_050_112, features=1_024),
    ),
    "mobilenet_v3_large": Zoo(
        conv="features.0.0",
        output="classifier.3",
        channels=16,
        bias=False,
        imagenet=Stem(side=224, kernel=3, first=112, parameters=4_201_600, macs=209_890_752, features=1_280),
        small=Stem(side=32, kernel=3, first=32, parameters=4_201_600, macs=19_646_592, features=1_280),
    ),
    "vgg16_bn": Zoo(
        conv="features.0",
        output="classifier.6",
        channels=64,
        bias=True,
        imagenet=Stem(side=224, kernel=3, first=224, parameters=134_267_200, macs=15_379_464_192, features=4_096),
        small=Stem(side=32, kernel=3, first=32, parameters=14_721_344, macs=311_427_072, features=512),
    ),
    "inception_v3": Zoo(
        conv="Conv2d_1a_3x3.conv",
        output="fc",
        channels=32,
        bias=False,
        imagenet=Stem(side=299, kernel=3, first=149, parameters=21_784_704, macs=5_691_986_432, features=2_048),
        small=None,
    ),
    "squeezenet1_0": Zoo(
        conv="features.0",
        output="classifier.1",
        channels=96,
        bias=True,
        imagenet=Stem(side=224, kernel=7, first=109, parameters=721_216, macs=564_731_904, features=512, positions=169),
        small=Stem(side=32, kernel=3, first=32, parameters=721_216, macs=199_229_440, features=512, positions=64),
    ),
}
"""By architecture."""
