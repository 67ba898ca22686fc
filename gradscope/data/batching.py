"""Batches out of a split that lives whole in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from gradscope.data.dataset import Split
from gradscope.data.transforms import Transform


@dataclass(frozen=True, kw_only=True)
class MiniBatch:
    """What one step of the training sees."""

    images: Tensor
    """float32 [B, C, H, W], as the network takes them."""
    labels: Tensor
    """As in the split: int64 [B], or int8 [B, K]."""
    places: Tensor
    """int64 [B]: which pictures of the split these are."""
    turn: int = 0
    """Which of several steps on the same pictures this is, from 0."""

    def __len__(self) -> int:
        return len(self.labels)

    def first(self, n: int) -> "MiniBatch":
        """The first n pictures, or all where there are no more."""
        return MiniBatch(images=self.images[:n], labels=self.labels[:n], places=self.places[:n])


def epoch_generator(seed: int, epoch: int) -> torch.Generator:
    """What an epoch's order and augmentation are drawn from: seed and epoch alone, whatever was drawn before."""
    return torch.Generator().manual_seed(seed * 100_003 + epoch)


def minibatches(
    split: Split, batch_size: int, generator: torch.Generator, transform: Transform | None = None
) -> Iterator[MiniBatch]:
    """Every picture once, in a random order, with its place in the split; arguments as of `batches`."""
    change = transform or Tensor.float
    order = torch.randperm(len(split), generator=generator, device=generator.device).to(split.labels.device)
    for part in _parts(len(split), batch_size):
        places = order[part]
        yield MiniBatch(images=change(_taken(split, places)), labels=split.labels[places], places=places)


def batches(
    split: Split,
    batch_size: int,
    generator: torch.Generator | None = None,
    transform: Transform | None = None,
    shuffle: bool = True,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Every picture once.

    Args:
        split: The pictures.
        batch_size: Pictures in a batch; the last batch may be smaller. A last batch of one would break batch
            normalisation, so it takes one picture from the batch before it.
        generator: Draws the order; needed to shuffle.
        transform: Applied to each batch of uint8 images; without it they come as float32 in 0..255.
        shuffle: A new random order; else the order of the split.

    Yields:
        (images float32 [B, C, H, W], labels int64 [B]) on the split's device.

    Raises:
        ValueError: shuffle without a generator.
    """
    if shuffle and generator is None:
        raise ValueError("batches(shuffle=True) needs a generator; pass torch.Generator().manual_seed(SEED)")
    change = transform or Tensor.float
    if not shuffle or generator is None:
        for part in _parts(len(split), batch_size):
            yield change(split.images[part].to(split.labels.device)), split.labels[part]
        return
    for batch in minibatches(split, batch_size, generator, transform):
        yield batch.images, batch.labels


def _taken(split: Split, places: Tensor) -> Tensor:
    """Pictures of the split, on its device."""
    return split.images[places.to(split.images.device)].to(split.labels.device)


def _parts(n: int, batch_size: int) -> list[slice]:
    """ceil(n / batch_size) slices of 0..n."""
    edges = [*range(0, n, batch_size), n]
    if n % batch_size == 1 and batch_size > 2 and len(edges) > 2:
        edges[-2] -= 1
    return [slice(start, stop) for start, stop in pairwise(edges)]
