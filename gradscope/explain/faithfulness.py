"""Whether a map names the pixels that matter: deletion and insertion (Petsiuk, Das & Saenko 2018, section 3.2)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gradscope.explain.question import Question

LEVELS = 32
"""Points at which a curve is measured, beside its start; all pixels where there are fewer."""


@dataclass(frozen=True, kw_only=True)
class Areas:
    """Areas under the probability of the target class, against the share of the pixels, each float32 [B] in 0..1."""

    deletion: Tensor
    """The pixels of most evidence first become the mean colour: the smaller, the better the map."""
    insertion: Tensor
    """The pixels of most evidence first appear in the blurred picture: the larger, the better the map."""


def areas(question: Question, maps: Tensor, levels: int = LEVELS) -> Areas:
    """Both areas of each map.

    Args:
        question: what the maps explain; the model in eval mode.
        maps: [B, C, H, W] or [B, 1, H, W]; pixels are ranked by the sum over the channels, greatest first.
        levels: steps of the trapezoidal rule.
    """
    rank = _ranks(maps)
    mean = question.references.baseline("mean", question.images)
    blur = question.references.baseline("blur", question.images)
    return Areas(
        deletion=_area(question, rank, levels, question.images, mean),
        insertion=_area(question, rank, levels, blur, question.images),
    )


def _ranks(maps: Tensor) -> Tensor:
    """Place of each pixel in the order of evidence, 0 for the greatest; int64 [B, 1, H, W]."""
    evidence = maps.sum(dim=1)
    order = evidence.flatten(1).argsort(dim=1, descending=True, stable=True)
    return order.argsort(dim=1).reshape(len(maps), 1, *evidence.shape[1:])


def _area(question: Question, rank: Tensor, levels: int, start: Tensor, end: Tensor) -> Tensor:
    n_pixels = rank[0].numel()
    steps = min(levels, n_pixels)
    curve = []
    for step in range(steps + 1):
        done = rank < round(step / steps * n_pixels)
        curve.append(_probability(question, torch.where(done, end, start)))
    return torch.trapezoid(torch.stack(curve), dx=1 / steps, dim=0)


def _probability(question: Question, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = question.model(images)
    return logits.softmax(dim=1).gather(1, question.targets[:, None]).squeeze(1)
