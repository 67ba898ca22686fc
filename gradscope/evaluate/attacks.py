"""Pictures changed against the network, within a small distance of each pixel, by captum.

The attack sees the pixels in 0..1 and the network behind its normalisation, so that a change means the same whatever
the run's normalisation is. It follows the true gradient of the loss: methods that amplify gradients do so in training
only.
"""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.config import Attack

_TOGETHER = 100  # pictures attacked at once: never changed, so that the random starts are the same whatever the batch
_STEPS = 10
_STRIDE = 2.5  # a step is so many times the distance over the number of steps (Madry et al. 2018, appendix)

Classifier = Callable[[Tensor], Tensor]
"""Pictures float32 [B, C, H, W] in 0..1 to logits [B, K]."""
Attacker = Callable[[Classifier, Tensor, Tensor, float, torch.Generator], Tensor]
"""See `fgsm`."""


def fgsm(classify: Classifier, pixels: Tensor, labels: Tensor, change: float, _: torch.Generator) -> Tensor:
    """The fast gradient sign method: x + e sign(dL/dx), cut to 0..1 (Goodfellow, Shlens & Szegedy 2015).

    Args:
        classify: the network.
        pixels: float32 [B, C, H, W] in 0..1.
        labels: int64 [B], what the pictures show.
        change: e, in 0..1.
    """
    from captum.robust import FGSM

    attack = FGSM(classify, nn.CrossEntropyLoss(reduction="none"), lower_bound=0.0, upper_bound=1.0)
    parts = zip(torch.split(pixels, _TOGETHER), torch.split(labels, _TOGETHER), strict=True)
    return torch.cat([attack.perturb(part.clone().requires_grad_(), change, known) for part, known in parts])


def pgd(classify: Classifier, pixels: Tensor, labels: Tensor, change: float, generator: torch.Generator) -> Tensor:
    """Projected gradient descent: ten signed steps from a random start, never further than e (Madry et al. 2018).

    Arguments as in `fgsm`.
    """
    from captum.robust import PGD

    attack = PGD(classify, nn.CrossEntropyLoss(reduction="none"), lower_bound=0.0, upper_bound=1.0)
    how: dict[str, Any] = {"radius": change, "step_size": _STRIDE * change / _STEPS, "step_num": _STEPS}
    parts = zip(torch.split(pixels, _TOGETHER), torch.split(labels, _TOGETHER), strict=True)
    with torch.random.fork_rng([pixels.device] if pixels.device.type == "cuda" else []), warnings.catch_warnings():
        # captum tells at every step that it makes the pictures take a gradient, which is what it is there for
        warnings.filterwarnings("ignore", "Input Tensor 0 did not already require gradients")
        torch.manual_seed(generator.initial_seed())  # it draws the start from the global state
        return torch.cat([attack.perturb(part, target=known, random_start=True, **how) for part, known in parts])


ATTACK: Mapping[Attack, Attacker] = {"fgsm": fgsm, "pgd": pgd}
