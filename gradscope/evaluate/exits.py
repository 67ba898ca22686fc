"""An elastic network put to the test: each exit by itself, and pictures that leave as soon as an exit is sure."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gradscope.config.exits import Rule
from gradscope.data import Split, Transform, batches
from gradscope.models.budgets import Budget, Confidence, Entropy
from gradscope.models.early_exit import Pieces, Prediction

RULES: Mapping[Rule, Callable[[float], Budget]] = {"confidence": Confidence, "entropy": Entropy}
"""From a threshold to who leaves."""

OnBatch = Callable[[int], None]
"""Called with the number of pictures answered since the last call."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """Test pictures, answered once."""

    right: Tensor
    """Which answers are right: bool [N]."""
    exits: Tensor
    """Where each picture left, from 0: int64 [N]."""
    milliseconds: float
    """A picture: the time of the passes alone."""

    @property
    def accuracy(self) -> float:
        """In 0..1."""
        return float(self.right.double().mean())

    def left(self, n_exits: int) -> tuple[int, ...]:
        """How many pictures left at each exit."""
        return tuple(self.exits.bincount(minlength=n_exits).tolist())


def answered(
    pieces: Pieces, split: Split, transform: Transform, budget: Budget, batch_size: int, told: OnBatch = lambda _: None
) -> Run:
    """Answer every picture of a split within a budget, really leaving out what is not needed, and take the time.

    Args:
        pieces: of a network in eval mode, on the split's device.
        split: N pictures.
        transform: uint8 images to what the network was trained on.
        budget: of `gradscope.models.budgets`.
        batch_size: pictures at once.
        told: called after each batch.
    """
    seconds, right, exits = 0.0, [], []
    for images, labels in batches(split, batch_size, transform=transform, shuffle=False):
        began = _now(images.device)
        found: Prediction = pieces.predict(images, budget)
        seconds += _now(images.device) - began
        right.append(found.logits.argmax(1) == labels)
        exits.append(found.exits)
        told(len(labels))
    return Run(right=torch.cat(right), exits=torch.cat(exits), milliseconds=1000 * seconds / len(split))


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def mean_macs(pieces: Pieces, exits: Tensor) -> float:
    """Multiply-accumulates a picture where each exit was asked until one was sure.

    Args:
        pieces: of the network.
        exits: where each picture left: int64 [N].
    """
    costs = torch.tensor([cost.macs_asking for cost in pieces.costs], dtype=torch.float64)
    return float(costs[exits.cpu()].mean())


def warm_up(pieces: Pieces, split: Split, transform: Transform, batch_size: int) -> None:
    """One pass through everything whose time nobody takes: the first one chooses algorithms and fills caches."""
    pieces.predict(transform(split.images[:batch_size]), Confidence(at_least=math.inf))
