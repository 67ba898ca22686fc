"""What goes wrong in a sensor: too few photons, broken pixels."""

import torch
from torch import Tensor

from gradscope.data.corruptions.corruption import Strengths

_PHOTONS = Strengths(values=(500, 250, 100, 75, 50))
_BROKEN = Strengths(values=(0.01, 0.02, 0.03, 0.05, 0.07))


def shot_noise(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """Each value is a count of photons, Poisson with mean 500 x, ..., 50 x. Strengths of CIFAR-10-C."""
    photons = _PHOTONS[severity]
    return torch.poisson(images * photons, generator=generator) / photons


def impulse_noise(images: Tensor, severity: int, generator: torch.Generator) -> Tensor:
    """A share of 0.01, ..., 0.07 of the values is black or white (salt and pepper). Strengths of CIFAR-10-C."""
    share = _BROKEN[severity]
    drawn = torch.rand(images.shape, generator=generator, device=images.device)
    return torch.where(drawn < share, (drawn < share / 2).to(images.dtype), images)
