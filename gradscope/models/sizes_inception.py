"""BN-Inception's modules, and what its convolutions cost, without torch.

Source: Ioffe & Szegedy 2015 (arXiv 1502.03167), figure 5 of the appendix. Where the figure's sums do not agree with its
parts (4c, 4d and 4e put out 608, 608 and 1056 channels, not 576, 576 and 1024) the parts count, as in all ports.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from gradscope.config import InceptionBn

Shape = tuple[int, int, int]
"""Channels, height and width of a picture."""


@dataclass(frozen=True, kw_only=True)
class Mixed:
    """Channels of a module's four branches."""

    one: int
    """Of the 1x1 convolution; 0: there is none, and the module halves the map."""
    three: tuple[int, int]
    """Of the 1x1 reduction and the 3x3 convolution behind it."""
    double: tuple[int, int]
    """Of the 1x1 reduction and of each of the two 3x3 convolutions behind it."""
    pool: int
    """Of the 1x1 convolution behind the pooling; 0: what was pooled goes through."""
    pooling: Literal["mean", "largest"]

    @property
    def stride(self) -> int:
        """2 where the module halves the map."""
        return 1 if self.one else 2


def _mixed(
    one: int,
    three: tuple[int, int],
    double: tuple[int, int],
    pool: int,
    pooling: Literal["mean", "largest"] = "mean",
) -> Mixed:
    return Mixed(one=one, three=three, double=double, pool=pool, pooling=pooling)


STEM = (64, 64, 192)
"""Channels of the three convolutions before the modules: 7x7 (3x3 with the small stem), 1x1 and 3x3."""
MODULES: Mapping[str, Mixed] = {
    "3a": _mixed(64, (64, 64), (64, 96), 32),
    "3b": _mixed(64, (64, 96), (64, 96), 64),
    "3c": _mixed(0, (128, 160), (64, 96), 0, "largest"),
    "4a": _mixed(224, (64, 96), (96, 128), 128),
    "4b": _mixed(192, (96, 128), (96, 128), 128),
    "4c": _mixed(160, (128, 160), (128, 160), 128),
    "4d": _mixed(96, (128, 192), (160, 192), 128),
    "4e": _mixed(0, (128, 192), (192, 256), 0, "largest"),
    "5a": _mixed(352, (192, 320), (160, 224), 128),
    "5b": _mixed(352, (192, 320), (192, 224), 128, "largest"),
}
"""By their names in the paper."""


def scaled_stem(width: float) -> tuple[int, int, int]:
    """Channels of the first convolutions under a width multiplier."""
    first, reduced, last = (_scaled(c, width) for c in STEM)
    return first, reduced, last


def scaled_modules(width: float) -> dict[str, Mixed]:
    """The modules under a width multiplier."""
    return {name: _scaled_mixed(mixed, width) for name, mixed in MODULES.items()}


def _scaled(channels: int, width: float) -> int:
    return max(1, round(channels * width)) if channels else 0


def _scaled_mixed(mixed: Mixed, width: float) -> Mixed:
    three, double = ((_scaled(a, width), _scaled(b, width)) for a, b in (mixed.three, mixed.double))
    one, pool = _scaled(mixed.one, width), _scaled(mixed.pool, width)
    return Mixed(one=one, three=three, double=double, pool=pool, pooling=mixed.pooling)


def channels_after(mixed: Mixed, before: int) -> int:
    """Channels that a module puts out."""
    return mixed.one + mixed.three[1] + mixed.double[1] + (mixed.pool or before)


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """One convolution of the network, without bias."""

    before: int
    after: int
    kernel: int
    pixels: int
    """Of the map it puts out."""


def features(settings: InceptionBn) -> int:
    """How many numbers the output layer gets."""
    channels = scaled_stem(settings.width)[-1]
    for mixed in scaled_modules(settings.width).values():
        channels = channels_after(mixed, channels)
    return channels


def convolutions(settings: InceptionBn, in_shape: Shape) -> Iterator[Convolution]:
    """Every convolution; strides and poolings of 2 halve each side and round up."""
    first, reduced, channels = scaled_stem(settings.width)
    sides = (settings.size, settings.size) if settings.size else in_shape[1:]
    kernel, stride = (7, 2) if settings.stem == "imagenet" else (3, 1)
    sides = _halved(sides, stride)
    yield _conv(in_shape[0], first, kernel, sides)
    sides = _halved(sides, stride)
    yield _conv(first, reduced, 1, sides)
    yield _conv(reduced, channels, 3, sides)
    sides = _halved(sides, stride)
    for mixed in scaled_modules(settings.width).values():
        after = _halved(sides, mixed.stride)
        yield from _of_module(mixed, channels, sides, after)
        channels, sides = channels_after(mixed, channels), after


def _of_module(mixed: Mixed, channels: int, sides: tuple[int, int], after: tuple[int, int]) -> Iterator[Convolution]:
    if mixed.one:
        yield _conv(channels, mixed.one, 1, after)
    yield _conv(channels, mixed.three[0], 1, sides)
    yield _conv(*mixed.three, 3, after)
    yield _conv(channels, mixed.double[0], 1, sides)
    yield _conv(*mixed.double, 3, sides)
    yield _conv(mixed.double[1], mixed.double[1], 3, after)
    if mixed.pool:
        yield _conv(channels, mixed.pool, 1, after)


def _conv(before: int, after: int, kernel: int, sides: tuple[int, int]) -> Convolution:
    return Convolution(before=before, after=after, kernel=kernel, pixels=sides[0] * sides[1])


def _halved(sides: tuple[int, int], stride: int) -> tuple[int, int]:
    height, width = (-(-side // stride) for side in sides)
    return height, width
