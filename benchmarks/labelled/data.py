"""Four small classification tasks: two made, the digits of scikit-learn, and three classes of CIFAR-10."""

import io
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from sklearn import datasets
from torch import Tensor
from torch.nn import functional

CIFAR_CLASSES = (0, 6, 9)
"""Aeroplane, frog, truck: apart enough for a network of a second to tell."""
CIFAR_PICTURES = 900


@dataclass(frozen=True, kw_only=True)
class Task:
    """Inputs of mean 0 and standard deviation 1, shape [N, C, H, W], and labels in 0..K-1."""

    train: tuple[Tensor, Tensor]
    val: tuple[Tensor, Tensor]
    n_classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        channels, height, width = self.train[0].shape[1:]
        return channels, height, width

    @property
    def chance(self) -> float:
        """Accuracy of always saying the commonest class of the validation."""
        return float(self.val[1].bincount().max()) / len(self.val[1])

    def limited(self, n: int) -> "Task":
        """With only so many training pictures."""
        return replace(self, train=(self.train[0][:n], self.train[1][:n]))


def _blobs() -> tuple[np.ndarray, np.ndarray]:
    points, labels = datasets.make_blobs(n_samples=600, n_features=10, centers=5, cluster_std=4.0, random_state=0)
    return points.reshape(-1, 1, 1, 10), labels


def _circles() -> tuple[np.ndarray, np.ndarray]:
    points, labels = datasets.make_circles(n_samples=800, noise=0.08, factor=0.5, random_state=0)
    return points.reshape(-1, 1, 1, 2), labels


def _digits() -> tuple[np.ndarray, np.ndarray]:
    digits = datasets.load_digits()
    return digits.images[:, None], digits.target


def _cifar() -> tuple[np.ndarray, np.ndarray]:
    import pyarrow.parquet as pq
    from PIL import Image

    table = pq.read_table(cifar_folder() / "test.parquet")
    labels = table["label"].to_numpy()
    chosen = np.flatnonzero(np.isin(labels, CIFAR_CLASSES))[:CIFAR_PICTURES]
    rows = table["img"].take(chosen).to_pylist()
    pictures = np.stack([np.asarray(Image.open(io.BytesIO(row["bytes"]))) for row in rows])
    small = functional.avg_pool2d(torch.from_numpy(pictures).permute(0, 3, 1, 2).float(), 4)
    return small.numpy(), np.searchsorted(CIFAR_CLASSES, labels[chosen])


def cifar_folder() -> Path:
    """Where CIFAR-10 lies as parquet files."""
    root = Path(__file__).parents[2]
    return Path(os.environ.get("GRADSCOPE_TEST_DATA", root.parent / "shared" / "data")) / "cifar10"


SOURCES: Mapping[str, Callable[[], tuple[np.ndarray, np.ndarray]]] = {
    "blobs": _blobs,
    "circles": _circles,
    "digits": _digits,
    "cifar": _cifar,
}


@cache
def task(name: str) -> Task:
    """A task by its name; a fifth of it is the validation, always the same."""
    points, labels = SOURCES[name]()
    x = torch.from_numpy(np.asarray(points, dtype=np.float32))
    y = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    held = len(y) // 5
    train, val = order[held:], order[:held]
    mean, std = x[train].mean(), x[train].std()
    x = (x - mean) / std
    return Task(train=(x[train], y[train]), val=(x[val], y[val]), n_classes=int(y.max()) + 1)
