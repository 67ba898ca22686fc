"""Accuracy of a network on disturbed pictures: the same disturbance for every network, whatever the batch size."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from gradscope.data import Split
from gradscope.data.noise import generator_for
from gradscope.evaluate.disturbed import DISTURB, Subject

BLOCK = 1000
"""Pictures disturbed together, from one source of random numbers: fixed, so that the noise is."""

OnBlock = Callable[[int], None]
"""Called with the number of pictures classified since the last call."""


@dataclass(frozen=True, kw_only=True)
class Answers:
    """How a network did on disturbed pictures."""

    accuracies: tuple[float, ...]
    """Share of right answers in 0..1, for each draw."""
    right: bytes
    """One byte a picture: in how many of the draws it was classified right."""
    per_class: tuple[float | None, ...]
    """Share of right answers in 0..1 over the pictures of each class and all draws; None: no such picture."""


def answers(
    subject: Subject,
    split: Split,
    n_classes: int,
    *,
    kind: str,
    level: float,
    draws: int,
    seed: int,
    batch_size: int = BLOCK,
    autocast: torch.dtype | None = None,
    told: OnBlock = lambda _: None,
) -> Answers:
    """Classify every picture once for each draw of the disturbance.

    The draw of (seed, kind, level, draw) is the same for every network and batch size, on the same kind of device.

    Args:
        subject: the network, in eval mode on the device of the pictures.
        split: the pictures, N of them.
        n_classes: K.
        kind: a kind of `gradscope.config.robustness`, or `clean`.
        level: how strong it is; the kind says in what unit.
        draws: how often each picture is disturbed, 1..255.
        seed: of all random numbers.
        batch_size: pictures classified at once; does not change the result.
        autocast: run the forward pass in this type; by default as the surrounding code does.
        told: called after each block of pictures.
    """
    device = split.labels.device
    per_draw = torch.zeros(draws, dtype=torch.int64, device=device)
    counts = torch.zeros(len(split), dtype=torch.int64, device=device)
    with torch.no_grad():
        for draw in range(draws):
            for start, images, labels in _blocks(split):
                generator = generator_for(device, seed, kind, f"{level:g}", draw, start)
                inputs = DISTURB[kind](subject, images, labels, level, generator)
                with torch.autocast(device.type, autocast) if autocast else nullcontext():
                    right = _right(subject, inputs, labels, batch_size)
                # no .item() here: a GPU goes on without waiting until the point is done
                per_draw[draw] += right.sum()
                counts[start : start + len(labels)] += right
                told(len(labels))
    return Answers(
        accuracies=tuple((per_draw.double() / len(split)).tolist()),
        right=counts.to(torch.uint8).cpu().numpy().tobytes(),
        per_class=_per_class(counts.cpu(), split.labels.cpu(), n_classes, draws),
    )


def _blocks(split: Split) -> Iterator[tuple[int, Tensor, Tensor]]:
    for start in range(0, len(split), BLOCK):
        yield start, split.images[start : start + BLOCK], split.labels[start : start + BLOCK]


def _right(subject: Subject, inputs: Tensor, labels: Tensor, batch_size: int) -> Tensor:
    parts = [subject.model(part).argmax(1) for part in torch.split(inputs, batch_size)]
    return torch.cat(parts) == labels


def _per_class(counts: Tensor, labels: Tensor, n_classes: int, draws: int) -> tuple[float | None, ...]:
    of_class = labels.bincount(minlength=n_classes)
    right = torch.zeros(n_classes, dtype=torch.int64).index_add_(0, labels, counts)
    share = right.double() / (of_class * draws)
    return tuple(value if n else None for value, n in zip(share.tolist(), of_class.tolist(), strict=True))
