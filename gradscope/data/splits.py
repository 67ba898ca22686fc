"""Which pictures train, validate and test."""

import torch
from torch import Tensor


def stratified_order(labels: Tensor, generator: torch.Generator) -> Tensor:
    """A random order in which every beginning holds the classes in nearly their shares (off by at most about one each).

    Args:
        labels: int64 [N].
        generator: Draws the order, on the CPU.

    Returns:
        int64 [N], a permutation. Its first n entries are a stratified sample of n.
    """
    shuffled = torch.randperm(len(labels), generator=generator)
    by_class = shuffled[labels[shuffled].argsort(stable=True)]
    sizes = labels.bincount()
    starts = sizes.cumsum(0) - sizes
    of = labels[by_class]
    # the j-th of n pictures of a class belongs at (j + 1/2) / n of the whole; equal places fall in random order
    place = (torch.arange(len(labels)) - starts[of] + 0.5).double() / sizes[of]
    again = torch.randperm(len(labels), generator=generator)
    return by_class[again[place[again].argsort(stable=True)]]
