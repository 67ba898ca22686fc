"""Two networks beside each other: do they give the same answers, and how long does each take?"""

import time
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.data import Split, Transform, batches


def same_answers(student: Tensor, teacher: Tensor) -> float:
    """Share in 0..1 of the pictures to which both logits [N, K] give the same class."""
    return float((student.argmax(1) == teacher.argmax(1)).double().mean())


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> float:
    """KL(softmax(z_T / T) || softmax(z_S / T)) in nats, mean over the pictures of both logits [N, K]."""
    mine, theirs = (functional.log_softmax(z.double() / temperature, dim=1) for z in (student, teacher))
    return float(functional.kl_div(mine, theirs, reduction="batchmean", log_target=True))


@torch.no_grad()
def logits_of(model: nn.Module, split: Split, normalise: Transform, batch_size: int = 500) -> Tensor:
    """What a network in eval mode answers to a split, [N, K] in float32."""
    seen = batches(split, batch_size, transform=normalise, shuffle=False)
    return torch.cat([model(images).float() for images, _ in seen])


@torch.no_grad()
def milliseconds(model: nn.Module, images: Tensor, passes: int) -> float:
    """Median time of a forward pass, after two that nobody times.

    Args:
        model: in eval mode.
        images: one batch, on the model's device.
        passes: of which the median is taken.
    """
    times = []
    for _ in range(passes + 2):
        began = _now(images.device)
        model(images)
        times.append(_now(images.device) - began)
    return 1000 * median(times[2:])


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
