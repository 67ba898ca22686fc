"""How good each exit of an elastic network is, and how far its confidence can be trusted."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.data import Split, Transform, batches
from gradscope.models.elastic import ElasticNetwork

BINS = 15
"""Of the confidence, as in Guo et al. 2017."""


@dataclass(frozen=True, kw_only=True)
class ExitScore:
    """Of one exit on a split."""

    accuracy: float
    """In 0..1."""
    loss: float
    """Mean cross entropy in nats."""
    calibration_error: float
    """Expected calibration error in 0..1: 0 where of the answers given with 80 % confidence 80 % are right."""


def exit_logits(network: nn.Module, split: Split, transform: Transform, batch_size: int = 500) -> Tensor:
    """Logits of every exit for every picture of a split, in eval mode and without gradients.

    Args:
        network: images [B, C, H, W] to logits [B, K]; its train or eval mode is as before afterwards. One without exits
            counts as one with a single exit.
        split: N pictures, on the network's device.
        transform: uint8 images to what the network was trained on.
        batch_size: pictures at once; does not change the result.

    Returns:
        float32 [E, N, K].
    """
    modes = [(module, module.training) for module in network.modules()]
    try:
        network.eval()
        with torch.no_grad():
            parts = [
                torch.stack([logits.float() for logits in _answers(network, images)])
                for images, _ in batches(split, batch_size, transform=transform, shuffle=False)
            ]
    finally:
        for module, training in modes:
            module.training = training
    return torch.cat(parts, dim=1)


def _answers(network: nn.Module, images: Tensor) -> Sequence[Tensor]:
    return network.exits(images) if isinstance(network, ElasticNetwork) else [network(images)]


def exit_scores(logits: Tensor, labels: Tensor) -> list[ExitScore]:
    """Accuracy, loss and calibration of each exit.

    Args:
        logits: [E, N, K].
        labels: int64 [N].
    """
    return [
        ExitScore(
            accuracy=float((of_exit.argmax(1) == labels).double().mean()),
            loss=float(functional.cross_entropy(of_exit, labels)),
            calibration_error=calibration_error(of_exit, labels),
        )
        for of_exit in logits
    ]


def calibration_error(logits: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error: sum over bins of the confidence of n_b / N |accuracy_b - mean confidence_b|.

    Args:
        logits: [N, K].
        labels: int64 [N].
        bins: of equal width in 0..1.

    Source:
        Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    confidence, answers = logits.double().softmax(1).max(1)
    gap = (answers == labels).double() - confidence
    bin_of = (confidence * bins).long().clamp(max=bins - 1)
    sums = torch.zeros(bins, dtype=torch.float64, device=logits.device).index_add_(0, bin_of, gap)
    return float(sums.abs().sum() / len(labels))
