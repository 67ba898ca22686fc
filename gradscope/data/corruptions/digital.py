"""What storing a picture does to it: fewer pixels, JPEG; by Pillow, on the CPU."""

from collections.abc import Callable
from io import BytesIO

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from gradscope.data.corruptions.corruption import Strengths

_PIXELS = Strengths(values=(0.95, 0.9, 0.85, 0.75, 0.65))
_QUALITY = Strengths(values=(80, 65, 58, 50, 40))


def pixelate(images: Tensor, severity: int, _: torch.Generator) -> Tensor:
    """Shrunk to 0.95, ..., 0.65 of its sides and enlarged again, both by means over areas. As in CIFAR-10-C."""

    def coarse(picture: Image.Image) -> Image.Image:
        width, height = (max(1, int(side * _PIXELS[severity])) for side in picture.size)
        small = picture.resize((width, height), Image.Resampling.BOX)
        return small.resize(picture.size, Image.Resampling.BOX)

    return _each(images, coarse)


def jpeg(images: Tensor, severity: int, _: torch.Generator) -> Tensor:
    """Compressed as a JPEG of quality 80, ..., 40 and read back. Strengths of CIFAR-10-C."""

    def compressed(picture: Image.Image) -> Image.Image:
        file = BytesIO()
        picture.save(file, "JPEG", quality=int(_QUALITY[severity]))
        return Image.open(file)

    return _each(images, compressed)


def _each(images: Tensor, change: Callable[[Image.Image], Image.Image]) -> Tensor:
    """Pictures changed one by one: in colour where they have three channels, else each channel as a grey picture."""
    n, channels, height, width = images.shape
    levels = images.mul(255).round().clamp(0, 255).to(torch.uint8).cpu()
    colours = 3 if channels == 3 else 1
    pictures = levels.reshape(-1, colours, height, width).permute(0, 2, 3, 1).numpy()

    def changed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.asarray(change(Image.fromarray(picture if colours == 3 else picture[..., 0])))

    found = torch.from_numpy(np.stack([changed(picture) for picture in pictures])).reshape(-1, height, width, colours)
    return found.permute(0, 3, 1, 2).reshape(n, channels, height, width).to(images.device) / 255
