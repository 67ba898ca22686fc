"""What a corruption is."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Corrupt = Callable[[Tensor, int, torch.Generator], Tensor]
"""(pictures float32 [B, C, H, W] in 0..1, severity 1..5, source of its random numbers on the pictures' device) to
pictures of the same shape; values may leave 0..1, the caller cuts them."""


@dataclass(frozen=True, kw_only=True)
class Strengths:
    """One number for each severity."""

    values: tuple[float, float, float, float, float]

    def __getitem__(self, severity: int) -> float:
        return self.values[severity - 1]


def side(images: Tensor) -> float:
    """The shorter side of the pictures in units of CIFAR's 32 pixels, for which lengths are stated."""
    return min(images.shape[2:]) / 32
