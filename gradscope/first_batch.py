"""The first batch of a run, kept on disk as the network saw it: what a replay is computed on, without the data set.

256 pictures at most: a tenth of a megabyte for digits, three for CIFAR.
"""

from dataclasses import dataclass

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gradscope.data import MiniBatch
from gradscope.paths import RunPaths

MOST = 256
"""Pictures kept; a larger batch is cut."""


@dataclass(frozen=True, kw_only=True)
class FirstBatch:
    """The pictures of step 0, normalised and augmented."""

    batch: MiniBatch
    n_classes: int
    is_whole: bool
    """Whether these are all pictures of the step, so that a replay gives its very gradients."""


def keep(paths: RunPaths, batch: MiniBatch, n_classes: int) -> None:
    """Write it in place of what was there."""
    paths.folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: _first(getattr(batch, name)) for name in ("images", "labels", "places")}
    beside = paths.first_batch.with_name(paths.first_batch.name + ".part")
    # safetensors keeps texts beside its tensors, and nothing else
    save_file(tensors, beside, metadata={"n_classes": str(n_classes), "of": str(len(batch))})
    beside.replace(paths.first_batch)


def _first(tensor: Tensor) -> Tensor:
    return tensor[:MOST].detach().to("cpu", memory_format=torch.contiguous_format).clone()


def load(paths: RunPaths) -> FirstBatch | None:
    """What was kept; None if there is nothing, or nothing that can be read: it can be drawn from the data again."""
    try:
        with safe_open(paths.first_batch, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in ("images", "labels", "places")}
            told = file.metadata()
    except (FileNotFoundError, SafetensorError):
        return None
    batch = MiniBatch(**tensors)
    return FirstBatch(batch=batch, n_classes=int(told["n_classes"]), is_whole=int(told["of"]) == len(batch))
