"""Loss and accuracy of a network on a split."""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.data.batching import batches
from gradscope.data.dataset import Split
from gradscope.data.transforms import Transform


def accuracy(
    model: nn.Module,
    split: Split,
    normalise: Transform,
    batch_size: int = 1000,
    autocast: torch.dtype | None = None,
) -> tuple[float, float]:
    """Mean cross entropy in nats and share of right answers in 0..1, in eval mode and without gradients.

    Args:
        model: Images [B, C, H, W] to logits [B, K]; its train or eval mode is as before afterwards.
        split: On the model's device.
        normalise: uint8 images to what the model was trained on.
        batch_size: Pictures at once; does not change the result.
        autocast: Run the forward pass in this type (bfloat16); by default as the surrounding code does.
    """
    device = split.labels.device
    loss = torch.zeros((), dtype=torch.float64 if device.type != "mps" else torch.float32, device=device)
    right = torch.zeros((), dtype=torch.int64, device=device)
    for logits, labels in answers(model, split, normalise, batch_size, autocast):
        loss += functional.cross_entropy(logits, labels, reduction="sum")
        right += (logits.argmax(1) == labels).sum()
    return loss.item() / len(split), right.item() / len(split)


def answers(
    model: nn.Module,
    split: Split,
    normalise: Transform,
    batch_size: int = 1000,
    autocast: torch.dtype | None = None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits float32 [B, K] and labels of every batch in order, in eval mode and without gradients; see `accuracy`."""
    modes = [(module, module.training) for module in model.modules()]
    kind = split.labels.device.type
    try:
        model.eval()
        with torch.no_grad(), torch.autocast(kind, autocast) if autocast else nullcontext():
            for images, labels in batches(split, batch_size, transform=normalise, shuffle=False):
                yield model(images).float(), labels
    finally:
        for module, training in modes:
            module.training = training
