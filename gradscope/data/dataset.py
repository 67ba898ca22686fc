"""What a source gives and what a training gets."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

Progress = Callable[[int, int], None]
"""(done, total), in pictures decoded or bytes downloaded."""


def silent(done: int, total: int) -> None:
    """A progress that nobody watches."""


@dataclass(frozen=True, kw_only=True)
class Split:
    """Pictures and their labels; the device is that of the labels, where only very many pictures are not."""

    images: Tensor
    """uint8 [N, C, H, W]."""
    labels: Tensor
    """int64 [N], 0..K-1; of pictures with several labels int8 [N, K]: 1 there, 0 not, -1 does not count."""
    object_mask: Tensor | None = None
    """bool [N, H, W]: the pixels of the object; only generated pictures have it."""
    contour_mask: Tensor | None = None
    """bool [N, H, W]: the pixels of the object that touch the background through a side."""
    recording: Tensor | None = None
    """int64 [N]: pictures of one recording are nearly alike and stay on one side of every split; None: each by itself.
    """

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: Tensor) -> "Split":
        """The pictures of an index, int64 [M]."""
        return self._map(lambda tensor: tensor[index])

    def to(self, device: torch.device | str) -> "Split":
        """The same on a device; pictures that are too many for a GPU stay, and each batch of them is moved."""
        moved = self._map(lambda tensor: tensor.to(device) if tensor is not self.images else tensor)
        return moved if _too_large(self.images, torch.device(device)) else replace(moved, images=self.images.to(device))

    def _map(self, change: Callable[[Tensor], Tensor]) -> "Split":
        return Split(
            images=change(self.images),
            labels=change(self.labels),
            object_mask=None if self.object_mask is None else change(self.object_mask),
            contour_mask=None if self.contour_mask is None else change(self.contour_mask),
            recording=None if self.recording is None else change(self.recording),
        )


GPU_SHARE = 0.5
"""Of a GPU's free memory that the pictures of a split may take."""


def _too_large(images: Tensor, device: torch.device) -> bool:
    if device.type != "cuda" or images.device == device:
        return False
    free, _ = torch.cuda.mem_get_info(device)
    return images.nbytes > GPU_SHARE * free


@dataclass(frozen=True, kw_only=True)
class Source:
    """All pictures of a data set, before validation is split off."""

    train: Split
    test: Split
    classes: tuple[str, ...]
    train_name: str
    """What an error calls the training pictures: a file, a folder or the name of the set."""
    test_name: str


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The three splits of a training."""

    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]
    """Names of the K classes."""
    shape: tuple[int, int, int]
    """Channels, height, width."""
    fingerprint: str
    """Hash of all pictures and labels of the source, whatever the split and the limit; 32 hexadecimal digits."""
    mean: tuple[float, ...]
    """Of each channel over the training split, in 0..1."""
    std: tuple[float, ...]
    """Of each channel over the training split, in 0..1."""

    def to(self, device: torch.device | str) -> "Dataset":
        """The same with all pictures on a device."""
        return replace(self, train=self.train.to(device), val=self.val.to(device), test=self.test.to(device))
