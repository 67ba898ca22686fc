"""What the exits of an elastic network weigh, by arithmetic alone; the networks themselves are the tests' witness."""

from collections.abc import Callable, Mapping
from typing import Any

from gradscope.config import Elastic, MobileNet, Resnet, Settings, Torchvision
from gradscope.models.sizes import MOBILENET, scaled

_BLOCKS: Mapping[str, tuple[tuple[int, int], ...]] = {
    "resnet18": ((64, 2), (128, 2), (256, 2), (512, 1)),
    "resnet34": ((64, 3), (128, 4), (256, 6), (512, 2)),
    "resnet50": ((256, 3), (512, 4), (1024, 6), (2048, 2)),
    "resnet101": ((256, 3), (512, 4), (1024, 23), (2048, 2)),
    "densenet121": ((128, 1), (256, 1), (512, 1)),
    "densenet169": ((128, 1), (256, 1), (640, 1)),
    "vgg16_bn": ((64, 1), (128, 1), (256, 1), (512, 1)),
}
"""Channels, and behind how many blocks, transitions or poolings of them the elastic paper has an exit."""
_FIVE: Mapping[str, tuple[tuple[int, int], ...]] = {
    "resnet50": ((256, 1), (512, 1), (1024, 1), (2048, 1)),
    "resnet101": ((256, 1), (512, 1), (1024, 1), (2048, 1)),
}


def head_parameters(method: Elastic, model: Settings, n_classes: int) -> int | None:
    """Numbers in the heads that the method adds: a dense layer each; None where its places are known to torch alone.

    Args:
        method: with the places.
        model: the backbone.
        n_classes: K.
    """
    found = _CHANNELS.get((type(model), method.exits))
    channels = found(model) if found else None
    if not channels:
        return None
    return sum(c * n_classes + n_classes for c in channels[method.every - 1 :: method.every])


def _resnet(settings: Resnet) -> list[int]:
    blocks, width = (settings.depth - 2) // 6, settings.width
    return [width] * blocks + [2 * width] * blocks + [4 * width] * (blocks - 1)


def _mobilenet(settings: MobileNet) -> list[int]:
    return [scaled(channels, settings.width) for channels, _ in MOBILENET[1:-1]]


def _torchvision(places: Mapping[str, tuple[tuple[int, int], ...]]) -> Callable[[Torchvision], list[int]]:
    return lambda settings: [c for c, n in places.get(settings.architecture, ()) for _ in range(n)]


# Any: each takes the settings class it stands beside
_CHANNELS: Mapping[tuple[type[Settings], str], Callable[[Any], list[int]]] = {
    (Resnet, "paper"): _resnet,
    (Resnet, "blocks"): _resnet,
    (MobileNet, "paper"): _mobilenet,
    (MobileNet, "blocks"): _mobilenet,
    (Torchvision, "paper"): _torchvision(_BLOCKS),
    (Torchvision, "five"): _torchvision(_FIVE),
}
