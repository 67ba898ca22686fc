"""Moved, turned, warped; what comes in from outside the picture is its mirror image."""

import math

import torch
from torch import Tensor
from torch.nn import functional

from gradscope.data.corruptions.corruption import Strengths, side

_SHIFT = Strengths(values=(1, 2, 3, 4, 6))
_DEGREES = Strengths(values=(5, 10, 15, 20, 30))
_WARP = Strengths(values=(0.5, 1.0, 1.5, 2.0, 3.0))
_WARP_SMOOTHNESS = 2.0


def translation(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Each picture moved by 1, 2, 3, 4, 6 pixels of 32 in a direction of its own. Strengths are our proposal."""
    turn = _angles(images, generator)
    height, width = images.shape[2:]
    length = _SHIFT[severity] * side(images)
    matrix = _identity(images)
    # affine_grid counts a side as 2
    matrix[:, 0, 2] = turn.cos() * length * 2 / width
    matrix[:, 1, 2] = turn.sin() * length * 2 / height
    return _sampled(images, functional.affine_grid(matrix, list(images.shape), align_corners=False))


def rotation(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Each picture turned by 5, 10, 15, 20, 30 degrees, to the left or to the right. Strengths are our proposal."""
    left = torch.rand(len(images), generator=generator, device=images.device) < 0.5
    angle = torch.where(left, 1.0, -1.0) * math.radians(_DEGREES[severity])
    height, width = images.shape[2:]
    matrix = _identity(images)
    matrix[:, 0, 0] = matrix[:, 1, 1] = angle.cos()
    # in units of half sides, which may differ: without the ratio the picture would be sheared
    matrix[:, 0, 1], matrix[:, 1, 0] = -angle.sin() * height / width, angle.sin() * width / height
    return _sampled(images, functional.affine_grid(matrix, list(images.shape), align_corners=False))


def elastic(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Each pixel fetched from 0.5, ..., 3 pixels (of 32, root mean square) away, neighbours from neighbouring places.

    Displacements are white noise smoothed by a Gaussian of two pixels (Simard, Steinkraus & Platt 2003). Strengths are
    our proposal: those of CIFAR-10-C mix a random shear in.
    """
    from torchvision.transforms.v2.functional import gaussian_blur

    n, _, height, width = images.shape
    white = torch.randn((n, 2, height, width), generator=generator, device=images.device)
    sigma = max(_WARP_SMOOTHNESS * side(images), 0.5)
    reach = min(math.ceil(3 * sigma), min(height, width) - 1)
    smooth = gaussian_blur(white, [2 * reach + 1] * 2, [sigma, sigma])
    smooth = smooth / smooth.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    pixels = smooth * (_WARP[severity] * side(images) / math.sqrt(2))
    halves = torch.tensor([2 / width, 2 / height], device=images.device)
    grid = functional.affine_grid(_identity(images), list(images.shape), align_corners=False)
    return _sampled(images, grid + pixels.permute(0, 2, 3, 1) * halves)


def _angles(images: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(len(images), generator=generator, device=images.device) * (2 * math.pi)


def _identity(images: Tensor) -> Tensor:
    return torch.eye(2, 3, device=images.device).repeat(len(images), 1, 1)


def _sampled(images: Tensor, grid: Tensor) -> Tensor:
    return functional.grid_sample(images, grid, mode="bilinear", padding_mode="reflection", align_corners=False)
