"""Which pictures train, validate and test."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradscope.errors import DataError


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


def whole_recordings(
    labels: Tensor, recordings: Tensor, classes: Sequence[str], fraction: float, generator: torch.Generator
) -> Tensor:
    """Hold out whole recordings, in each class until a share of its pictures is reached, and never all of them.

    Args:
        labels: int64 [N].
        recordings: int64 [N]; a recording has one label.
        classes: Their names, for an error.
        fraction: In 0..1; what is held out is at least that, and above it by less than one recording.
        generator: Draws the order of the recordings, on the CPU.

    Returns:
        bool [N], what is held out.

    Raises:
        DataError: A class has one recording only.
    """
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label, name in enumerate(classes):
        of_class = labels == label
        sizes = recordings[of_class].bincount()
        names = sizes.nonzero().flatten()
        if len(names) < 2:
            raise DataError(
                f"class {name!r} has one recording only, which cannot stand on both sides of a split; "
                "set data.split=random or add recordings"
            )
        order = torch.randperm(len(names), generator=generator)
        before = sizes[names[order]].cumsum(0) - sizes[names[order]]
        taken = order[before < fraction * int(of_class.sum())][: len(names) - 1]
        held |= of_class & torch.isin(recordings, names[taken])
    return held


def leading_class(labels: Tensor) -> Tensor:
    """One class for each picture, by which a split can keep shares: of several labels the rarest; int64 [N].

    Pictures without any label count as of the class 0.
    """
    if labels.dim() == 1:
        return labels
    there = labels > 0
    often = there.sum(0).expand(len(labels), -1)
    return torch.where(there, often, len(labels) + 1).argmin(1)
