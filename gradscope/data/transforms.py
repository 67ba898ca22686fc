"""Normalisation and augmentation of whole batches, where the pictures live."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gradscope.config import DataSettings
from gradscope.data.dataset import Dataset

Transform = Callable[[Tensor], Tensor]
"""Images [B, C, H, W] to images [B, C, H, W]: uint8 to float32 to normalise, uint8 to uint8 to augment."""

_GREY_LEVEL = 1 / 255  # a picture or channel of one colour has no spread; one grey level keeps it finite


def normaliser(settings: DataSettings, dataset: Dataset) -> Transform:
    """uint8 to float32 as `settings.normalise` says, with the statistics of the data set's training split."""
    return _NORMALISERS[settings.normalise](dataset)


def by_channel(dataset: Dataset) -> Transform:
    """(x / 255 - mean_c) / std_c with the training statistics of channel c."""
    std = [max(s, _GREY_LEVEL) for s in dataset.std]
    scale = torch.tensor([1 / (255 * s) for s in std]).reshape(1, -1, 1, 1)
    shift = torch.tensor([-m / s for m, s in zip(dataset.mean, std, strict=True)]).reshape(1, -1, 1, 1)
    scale, shift = scale.to(dataset.train.labels.device), shift.to(dataset.train.labels.device)
    return lambda images: images * scale + shift


def by_image(_: Dataset) -> Transform:
    """(x - mean) / std with the mean and standard deviation of each picture over all its channels and pixels."""

    def normalise(images: Tensor) -> Tensor:
        x = images / 255
        std, mean = torch.std_mean(x, dim=(1, 2, 3), correction=0, keepdim=True)
        return (x - mean) / std.clamp_min(_GREY_LEVEL)

    return normalise


def symmetric(_: Dataset) -> Transform:
    """From -1 to 1: x / 127.5 - 1."""
    return lambda images: images / 127.5 - 1


def unit(_: Dataset) -> Transform:
    """From 0 to 1: x / 255."""
    return lambda images: images / 255


_NORMALISERS: Mapping[str, Callable[[Dataset], Transform]] = {
    "channel": by_channel,
    "symmetric": symmetric,
    "image": by_image,
    "unit": unit,
}


def augmenter(settings: DataSettings, generator: torch.Generator) -> Transform:
    """uint8 to uint8 as `settings.augment` says; each picture has its own draw from the generator."""
    return _AUGMENTERS[settings.augment](generator)


def keep(_: torch.Generator) -> Transform:
    """The pictures as they are."""
    return lambda images: images


def flip(generator: torch.Generator) -> Transform:
    """Mirror every picture left-right with probability 1/2."""
    return lambda images: shifted(images, flips(len(images), generator), no_shift(len(images)))


def crop(generator: torch.Generator) -> Transform:
    """A random crop of the picture's size out of the picture padded with zeros (black) by an eighth of its size.

    An eighth is 4 pixels of 32, as for CIFAR in He et al. (2016), section 4.2.
    """
    return lambda images: shifted(images, torch.zeros(len(images), dtype=torch.bool), shifts(images, generator))


def flip_crop(generator: torch.Generator) -> Transform:
    """Both."""
    return lambda images: shifted(images, flips(len(images), generator), shifts(images, generator))


_AUGMENTERS: Mapping[str, Callable[[torch.Generator], Transform]] = {
    "none": keep,
    "flip": flip,
    "crop": crop,
    "flip_crop": flip_crop,
}


def flips(n: int, generator: torch.Generator) -> Tensor:
    """Which of n pictures are mirrored, bool [n]."""
    return torch.rand(n, generator=generator, device=generator.device) < 0.5


def no_shift(n: int) -> Tensor:
    """int64 [2, n] of zeros."""
    return torch.zeros(2, n, dtype=torch.int64)


def shifts(images: Tensor, generator: torch.Generator) -> Tensor:
    """How far each picture moves down and right, int64 [2, B]: up to an eighth of the side, or 1."""
    pads = [max(1, side // 8) for side in images.shape[2:]]
    draw = [torch.randint(-pad, pad + 1, (len(images),), generator=generator, device=generator.device) for pad in pads]
    return torch.stack(draw)


def shifted(images: Tensor, mirrored: Tensor, shift: Tensor) -> Tensor:
    """Mirror, then move pictures over a black ground, in one gather for the whole batch.

    Args:
        images: uint8 [B, C, H, W].
        mirrored: bool [B].
        shift: int64 [2, B], pixels down and right.

    Returns:
        uint8 [B, C, H, W]: out[b, c, i, j] = images[b, c, i - down, j - right], mirrored in j, or 0 outside.
    """
    n, channels, height, width = images.shape
    mirrored, shift = mirrored.to(images.device), shift.to(images.device)
    rows = torch.arange(height, device=images.device) - shift[0, :, None]
    columns = torch.arange(width, device=images.device) - shift[1, :, None]
    inside = _within(rows, height)[:, :, None] & _within(columns, width)[:, None, :]
    columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
    index = rows.clamp(0, height - 1)[:, :, None] * width + columns.clamp(0, width - 1)[:, None, :]
    index = index.reshape(n, 1, height * width).expand(n, channels, height * width)
    moved = images.reshape(n, channels, height * width).gather(2, index)
    return moved.reshape(n, channels, height, width) * inside[:, None]


def _within(index: Tensor, size: int) -> Tensor:
    return (index >= 0) & (index < size)
