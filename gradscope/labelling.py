"""One label a picture or several: the loss, how a teacher is followed, and what counts as right.

Pictures of one label have `labels` int64 [N], 0..K-1. Pictures of several have int8 [N, K]: 1 where the class is there,
0 where it is not, -1 where it does not count, neither in the loss nor in the average precision.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

from gradscope.config import DataSettings


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """What a training needs to know of how its pictures are labelled."""

    loss: Callable[[Tensor, Tensor], Tensor]
    """(logits [B, K], labels) to a scalar in nats."""
    divergence: Callable[[Tensor, Tensor, float], Tensor]
    """(student's logits [B, K], teacher's, temperature) to a scalar in nats."""
    right: Callable[[Tensor, Tensor], Tensor]
    """(logits [B, K], labels) to bool [B]: which pictures are answered right."""
    right_name: Literal["accuracy", "exact_match"]
    """What the share of those is called."""
    score: Literal["accuracy", "map"]
    """By what the network is judged on validation and test pictures."""


def soft_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL(softmax(z_T / T) || softmax(z_S / T)), mean over the batch, in nats (Hinton, Vinyals & Dean 2015).

    The factor T^2 keeps the gradient's size as T grows (their section 2).

    Args:
        student: logits [B, K].
        teacher: logits [B, K], without a gradient.
        temperature: T > 0.
    """
    log_student = functional.log_softmax(student / temperature, dim=1)
    log_teacher = functional.log_softmax(teacher / temperature, dim=1)
    divergence = functional.kl_div(log_student, log_teacher, reduction="batchmean", log_target=True)
    return temperature**2 * divergence


def binary_divergence(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 KL of the two answers of each class, p = sigmoid(z / T) against 1 - p; mean over batch and classes, in nats.

    Probabilities of several labels do not sum to one, so each class is a question of its own (Yang et al. 2023,
    "Multi-Label Knowledge Distillation", arXiv 2308.06453, section 3; there the sum over classes and T = 1).

    Args:
        student: logits [B, K].
        teacher: logits [B, K], without a gradient.
        temperature: T > 0.
    """
    mine, theirs = student / temperature, teacher / temperature
    chosen = theirs.sigmoid() * (functional.logsigmoid(theirs) - functional.logsigmoid(mine))
    left = (-theirs).sigmoid() * (functional.logsigmoid(-theirs) - functional.logsigmoid(-mine))
    return temperature**2 * (chosen + left).mean()


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Of each class by itself, mean over what counts; a scalar in nats.

    Args:
        logits: [B, K].
        labels: int8 [B, K] of 1, 0 and -1, which does not count.
    """
    counts = (labels >= 0).to(logits.dtype)
    losses = functional.binary_cross_entropy_with_logits(logits, labels.clamp(0).to(logits.dtype), reduction="none")
    return (losses * counts).sum() / counts.sum().clamp_min(1)


def most_likely_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether the largest logit is that of the label: bool [B]."""
    return logits.argmax(1) == labels


def exactly_right(logits: Tensor, labels: Tensor) -> Tensor:
    """Whether every class that counts is on the right side of 0: bool [B]."""
    return (((logits > 0) == (labels > 0)) | (labels < 0)).all(1)


ONE = Labelling(
    loss=functional.cross_entropy,
    divergence=soft_divergence,
    right=most_likely_right,
    right_name="accuracy",
    score="accuracy",
)
SEVERAL = Labelling(
    loss=binary_cross_entropy,
    divergence=binary_divergence,
    right=exactly_right,
    right_name="exact_match",
    score="map",
)
_LABELLINGS: Mapping[str, Labelling] = {"one": ONE, "several": SEVERAL}


def labelling_of(data: DataSettings) -> Labelling:
    """How the pictures of a source are labelled."""
    return _LABELLINGS[data.labels]
