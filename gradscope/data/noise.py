"""Noise of a given standard deviation, drawn in bulk on the device that needs it."""

import math
from collections.abc import Callable, Mapping
from hashlib import blake2b

import torch
from torch import Tensor

from gradscope.config import Noise

Draw = Callable[[Tensor, float, torch.Generator], Tensor]
"""(a tensor to fill, standard deviation, source of random numbers on its device) to that tensor, filled."""


def gaussian_noise(out: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Normal with mean 0."""
    return out.normal_(0, deviation, generator=generator)


def uniform_noise(out: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Uniform on [-sqrt(3) s, sqrt(3) s], whose standard deviation is s."""
    edge = math.sqrt(3) * deviation
    return out.uniform_(-edge, edge, generator=generator)


NOISE: Mapping[Noise, Draw] = {"gaussian_noise": gaussian_noise, "uniform_noise": uniform_noise}


def generator_for(device: torch.device, *key: object) -> torch.Generator:
    """A source of random numbers that depends on the key alone (and on the kind of device: a GPU draws others)."""
    digest = blake2b("/".join(map(str, key)).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest) >> 1)
