"""Distorting a data set once, before anything is trained on it, as TCIFAR-100 is of CIFAR-100 (Liu et al. 2019)."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from gradscope.config import CORRUPTIONS, NOISES, Corruption, Noise
from gradscope.data.corruptions import corrupted
from gradscope.data.dataset import Progress, Source, Split
from gradscope.data.noise import NOISE, generator_for

_BLOCK = 1000
_MOVES: frozenset[Corruption | Noise] = frozenset({"elastic", "translation", "rotation"})
"""These put pixels elsewhere: masks of where the object was do not fit any more."""

Change = Callable[[Tensor, torch.Generator], Tensor]


def distorted(source: Source, kind: Noise | Corruption, level: float, std: tuple[float, ...], told: Progress) -> Source:
    """All pictures of a source distorted; always the same way, so that every run of a distorted set sees the same ones.

    Args:
        source: the pictures.
        kind: what is done to them.
        level: severity of a corruption; standard deviation of a noise in units of `std`.
        std: of each channel over the training pictures, in 0..1.
        told: called with (done, total) pictures.
    """
    change = _CHANGES[kind](level, std)
    n, total = len(source.train), len(source.train) + len(source.test)
    train = _changed(source.train, change, f"train/{kind}/{level:g}", lambda done: told(done, total))
    test = _changed(source.test, change, f"test/{kind}/{level:g}", lambda done: told(n + done, total))
    if kind in _MOVES:
        train, test = (replace(split, object_mask=None, contour_mask=None) for split in (train, test))
    return replace(source, train=train, test=test)


def _changed(split: Split, change: Change, key: str, told: Callable[[int], None]) -> Split:
    blocks = []
    for start in range(0, len(split), _BLOCK):
        images = split.images[start : start + _BLOCK]
        blocks.append(change(images, generator_for(images.device, key, start)))
        told(start + len(images))
    return replace(split, images=torch.cat(blocks))


def _corruption(kind: Corruption, level: float, _: tuple[float, ...]) -> Change:
    return lambda images, generator: corrupted(images, kind, int(level), generator)


def _noise(kind: Noise, level: float, std: tuple[float, ...]) -> Change:
    scale = 255 * torch.tensor(std).reshape(1, -1, 1, 1)

    def change(images: Tensor, generator: torch.Generator) -> Tensor:
        noise = NOISE[kind](torch.empty(images.shape), level, generator)
        return (images + noise * scale).round_().clamp_(0, 255).to(torch.uint8)

    return change


_CHANGES: Mapping[str, Callable[[float, tuple[float, ...]], Change]] = {
    **{kind: partial(_noise, kind) for kind in NOISES},
    **{kind: partial(_corruption, kind) for kind in CORRUPTIONS},
}
