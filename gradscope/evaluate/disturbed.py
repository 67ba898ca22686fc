"""The pictures that a network is tested on, disturbed: a function a family, all with one signature."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gradscope.config import CORRUPTIONS, NOISES, Corruption, Noise
from gradscope.data import Transform
from gradscope.data.corruptions import corrupted
from gradscope.data.noise import NOISE
from gradscope.evaluate.attacks import ATTACK, Attacker
from gradscope.measured import CLEAN


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Who is put to the test."""

    model: nn.Module
    """Images float32 [B, C, H, W] to logits [B, K]; in eval mode."""
    normalise: Transform
    """uint8 images to what the network was trained on."""


Disturb = Callable[[Subject, Tensor, Tensor, float, torch.Generator], Tensor]
"""(who is tested, uint8 images [B, C, H, W], labels int64 [B], level, source of random numbers on their device) to
normalised images float32 [B, C, H, W]."""


def undisturbed(subject: Subject, images: Tensor, labels: Tensor, level: float, generator: torch.Generator) -> Tensor:
    """The pictures as they are."""
    return subject.normalise(images)


def noisy(
    kind: Noise, subject: Subject, images: Tensor, labels: Tensor, level: float, generator: torch.Generator
) -> Tensor:
    """X' = x + n: noise n of standard deviation `level` on the normalised picture x (Bu et al. 2026, noise test)."""
    noise = torch.empty(images.shape, device=images.device)
    return NOISE[kind](noise, level, generator).add_(subject.normalise(images))


def spoilt(
    kind: Corruption, subject: Subject, images: Tensor, labels: Tensor, level: float, generator: torch.Generator
) -> Tensor:
    """Corrupted at severity `level` as a picture, then normalised."""
    return subject.normalise(corrupted(images, kind, int(level), generator))


def attacked(
    attack: Attacker, subject: Subject, images: Tensor, labels: Tensor, level: float, generator: torch.Generator
) -> Tensor:
    """Changed against the network by at most `level` 255ths of a pixel's range, then normalised."""

    def classify(pixels: Tensor) -> Tensor:
        logits: Tensor = subject.model(subject.normalise(pixels * 255))
        return logits

    with torch.enable_grad():
        found = attack(classify, images.float() / 255, labels, level / 255, generator)
    return subject.normalise(found.detach() * 255)


DISTURB: Mapping[str, Disturb] = {
    CLEAN: undisturbed,
    **{kind: partial(noisy, kind) for kind in NOISES},
    **{kind: partial(spoilt, kind) for kind in CORRUPTIONS},
    **{kind: partial(attacked, attack) for kind, attack in ATTACK.items()},
}
"""What is done for each kind of `gradscope.config.robustness`, and for the undisturbed pictures."""
