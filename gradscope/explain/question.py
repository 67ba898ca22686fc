"""What every attribution method is asked, and what it answers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from gradscope.config.attributions import Baseline

AT_ONCE = 1024
"""Copies of pictures in one forward pass: what one picture needs in memory times this."""


@dataclass(frozen=True, kw_only=True)
class References:
    """Pictures that a picture is compared with, normalised as the network's input."""

    mean: Tensor
    """[C, H, W]: every pixel the training pictures' mean colour."""
    black: Tensor
    """[C, H, W]."""
    pool: Tensor
    """[M, C, H, W]: training pictures in random order."""

    def baseline(self, name: Baseline, images: Tensor) -> Tensor:
        """The baseline of that name for each of the images [B, C, H, W]; the same shape."""
        return _BASELINES[name](self, images)

    def background(self, n: int) -> Tensor:
        """The first n pictures of the pool, or all; [n, C, H, W]."""
        return self.pool[:n]


def blurred(images: Tensor) -> Tensor:
    """Gaussian blur with a standard deviation of an eighth of the side: blots remain, no contour; [B, C, H, W]."""
    from torchvision.transforms.v2 import functional

    sigma = [max(side / 8, 0.5) for side in images.shape[:1:-1]]
    half = [min(round(2 * s), side - 1) for s, side in zip(sigma, images.shape[:1:-1], strict=True)]
    out: Tensor = functional.gaussian_blur(images, kernel_size=[2 * h + 1 for h in half], sigma=sigma)
    return out


_BASELINES: Mapping[Baseline, Callable[[References, Tensor], Tensor]] = {
    "mean": lambda references, images: references.mean.expand_as(images).contiguous(),
    "black": lambda references, images: references.black.expand_as(images).contiguous(),
    "blur": lambda _, images: blurred(images),
}


@dataclass(frozen=True, kw_only=True)
class Question:
    """Why does this network give this logit to these pictures?"""

    model: nn.Module
    """Images [B, C, H, W] to logits [B, K]; in eval mode, its parameters without gradients."""
    images: Tensor
    """float32 [B, C, H, W], normalised, on the model's device."""
    targets: Tensor
    """int64 [B]: the class whose logit is explained."""
    references: References
    seed: int = 0
    """Of all random numbers that a method draws."""

    def parts(self, copies: int) -> Iterator["Question"]:
        """The same of a few pictures at a time, so that `copies` of each fit into a forward pass; at least one."""
        size = max(1, AT_ONCE // copies)
        for start in range(0, len(self.images), size):
            part = slice(start, start + size)
            yield replace(self, images=self.images[part], targets=self.targets[part])

    def logits(self, images: Tensor) -> Tensor:
        """The explained logit of other images of the same places, [B]."""
        with torch.no_grad():
            out: Tensor = self.model(images).gather(1, self.targets[:, None]).squeeze(1)
        return out


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Global random numbers from a seed, for libraries that draw from nothing else; then all as it was."""
    state = np.random.get_state()
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        np.random.seed(seed % 2**32)  # captum and shap know no other generator
        try:
            yield
        finally:
            np.random.set_state(state)
