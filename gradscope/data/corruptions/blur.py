"""Out of focus."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from gradscope.data.corruptions.corruption import Strengths, side

_SIGMA = Strengths(values=(0.4, 0.6, 0.7, 0.8, 1.0))
_RADIUS = Strengths(values=(0.61, 0.72, 0.85, 1.26, 1.7))
_FINE = 16  # points along a pixel's side at which the disc is sampled


def gaussian_blur(images: Tensor, severity: int, _: torch.Generator) -> Tensor:
    """Convolved with a Gaussian of 0.4, ..., 1 pixels, more for pictures above 32. Strengths of CIFAR-10-C."""
    from torchvision.transforms.v2.functional import gaussian_blur as blur

    sigma = _SIGMA[severity] * _scale(images)
    reach = min(math.ceil(4 * sigma), min(images.shape[2:]) - 1)  # torchvision pads by reflection
    blurred: Tensor = blur(images, [2 * reach + 1] * 2, [sigma, sigma])
    return blurred


def defocus_blur(images: Tensor, severity: int, _: torch.Generator) -> Tensor:
    """Convolved with the disc that a point out of focus becomes, of radius 0.61, ..., 1.7 pixels, more above 32.

    CIFAR-10-C blurs a disc of whole pixels by a Gaussian; ours is the share of each pixel that a disc covers, with the
    radius at which the middle pixel weighs as much as theirs.
    """
    kernel = disc(_RADIUS[severity] * _scale(images)).to(images)
    reach = kernel.shape[0] // 2
    channels = images.shape[1]
    padded = functional.pad(images, [reach] * 4, mode="replicate")
    return functional.conv2d(padded, kernel.expand(channels, 1, -1, -1).contiguous(), groups=channels)


def _scale(images: Tensor) -> float:
    """A blur of a quarter of a pixel is none: small pictures are blurred like those of 32 pixels."""
    return max(1.0, side(images))


def disc(radius: float) -> Tensor:
    """Share of each pixel that a disc around the middle pixel's centre covers, float32 [S, S]; its sum is 1."""
    reach = math.ceil(max(radius, 0.5) - 0.5)
    points = (torch.arange((2 * reach + 1) * _FINE) + 0.5) / _FINE - (reach + 0.5)
    covered = (points[:, None].square() + points.square() <= max(radius, 1 / _FINE) ** 2).float()
    share = functional.avg_pool2d(covered[None, None], _FINE)[0, 0]
    return share / share.sum()
