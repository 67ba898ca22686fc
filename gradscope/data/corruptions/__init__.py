"""Corruptions of pictures in the spirit of ImageNet-C (Hendrycks & Dietterich 2019, arXiv 1903.12261): a file a family.

Strengths are those of CIFAR-10-C, for pictures of 32 pixels; lengths grow with the picture. Published figures on
CIFAR-10-C cannot be compared with ours to the last per cent: its pictures were made by other libraries.

To add one: a function in the file of its family (see `corruption.Corrupt`), its name in
`gradscope/config/robustness.py`, a line here.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from gradscope.config import Corruption
from gradscope.data.corruptions import blur, digital, geometry, sensor, tone
from gradscope.data.corruptions.corruption import Corrupt

CORRUPTIONS: Mapping[Corruption, Corrupt] = {
    "shot_noise": sensor.shot_noise,
    "impulse_noise": sensor.impulse_noise,
    "defocus_blur": blur.defocus_blur,
    "gaussian_blur": blur.gaussian_blur,
    "contrast": tone.contrast,
    "brightness": tone.brightness,
    "fog": tone.fog,
    "pixelate": digital.pixelate,
    "jpeg": digital.jpeg,
    "elastic": geometry.elastic,
    "translation": geometry.translation,
    "rotation": geometry.rotation,
}


def corrupted(images: Tensor, kind: Corruption, severity: int, generator: torch.Generator) -> Tensor:
    """Corrupted pictures.

    Args:
        images: uint8 [B, C, H, W].
        kind: what is done to them.
        severity: 1..5.
        generator: on the device of the images.

    Returns:
        uint8 [B, C, H, W], rounded to 256 levels, as a picture that was stored is.
    """
    changed = CORRUPTIONS[kind](images.float() / 255, severity, generator)
    return changed.mul(255).round_().clamp_(0, 255).to(torch.uint8)
