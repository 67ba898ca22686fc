"""The light: too little contrast, too bright, fog."""

import torch
from torch import Tensor
from torch.nn import functional

from gradscope.data.corruptions.corruption import Strengths

_CONTRAST = Strengths(values=(0.75, 0.5, 0.4, 0.3, 0.15))
_BRIGHTNESS = Strengths(values=(1.1, 1.2, 1.3, 1.4, 1.6))
_FOG = Strengths(values=(0.2, 0.5, 0.75, 1.0, 1.5))
_FOG_DECAY = Strengths(values=(3.0, 3.0, 2.5, 2.0, 1.75))


def contrast(images: Tensor, severity: int, _: torch.Generator) -> Tensor:
    """Drawn to the picture's mean grey, to 0.75, ..., 0.15 of its contrast. Strengths of CIFAR-10-C."""
    from torchvision.transforms.v2.functional import adjust_contrast

    changed: Tensor = adjust_contrast(images, _CONTRAST[severity])
    return changed


def brightness(images: Tensor, severity: int, _: torch.Generator) -> Tensor:
    """Every value times 1.1, ..., 1.6.

    CIFAR-10-C adds 0.05, ..., 0.3 to the value of each colour; for a picture of mean value 1/2 that is the same.
    """
    from torchvision.transforms.v2.functional import adjust_brightness

    changed: Tensor = adjust_brightness(images, _BRIGHTNESS[severity])
    return changed


def fog(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """A haze over the picture: (x + s f) m / (m + s) with the picture's largest value m, strengths s of 0.2, ..., 1.5.

    f in 0..1 is a sum of random fields, each twice as fine and 3, ..., 1.75 times as weak as the one before: smooth
    noise in place of the plasma fractal of CIFAR-10-C, whose strengths and decays these are.
    """
    strength = _FOG[severity]
    haze = clouds(images, _FOG_DECAY[severity], generator)
    highest = images.amax(dim=(1, 2, 3), keepdim=True)
    return (images + strength * haze) * highest / (highest + strength)


def clouds(images: Tensor, decay: float, generator: torch.Generator) -> Tensor:
    """A random field in 0..1 for each picture, [B, 1, H, W]."""
    n, _, height, width = images.shape
    field = torch.zeros((n, 1, height, width), device=images.device)
    cells, weight = 2, 1.0
    while cells <= max(height, width):
        coarse = torch.rand((n, 1, cells, cells), generator=generator, device=images.device)
        field += weight * functional.interpolate(coarse, (height, width), mode="bilinear", align_corners=True)
        cells, weight = 2 * cells, weight / decay
    low, high = (f(field, dim=(2, 3), keepdim=True) for f in (torch.amin, torch.amax))
    return (field - low) / (high - low).clamp_min(1e-6)
