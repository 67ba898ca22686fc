"""How far a training is, for whoever watches it."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TrainProgress:
    """How far a training is."""

    step: int
    """Optimiser steps done."""
    total_steps: int
    epoch: float
    epochs: int
    loss: float | None
    """Of the last reported batch, in nats; None before the first and where it is not finite."""
    val_score: float | None
    """Accuracy or mean average precision in 0..1, after the last whole epoch."""
    score: str
    """Which of them: `accuracy` or `map`."""
    samples_per_second: float | None
    seconds_left: float | None
    phase: str
    """loading data, training, evaluating."""


OnProgress = Callable[[TrainProgress], None]
"""Called every fifth of a second."""
