"""CIFAR-10, CIFAR-100, MNIST, Fashion-MNIST and SVHN through torchvision: downloaded once, checked, kept.

torchvision is imported when a set is read: it takes longer than torch itself on a slow disk.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gradscope.config import Cifar10, Cifar100, FashionMnist, Mnist, Svhn
from gradscope.data.dataset import Progress, Source, Split
from gradscope.data.download import Archive, fetch
from gradscope.errors import DataError
from gradscope.paths import data_folder

Opened = Any  # a torchvision dataset; torchvision carries no types


def read_cifar10(settings: Cifar10, progress: Progress) -> Source:
    """50,000 training and 10,000 test photographs in 10 classes."""
    from torchvision.datasets import CIFAR10

    return _read(settings.name, CIFAR10, _cifar_archives(CIFAR10), _train_flag, _cifar_split, progress)


def read_cifar100(settings: Cifar100, progress: Progress) -> Source:
    """50,000 training and 10,000 test photographs in 100 classes."""
    from torchvision.datasets import CIFAR100

    return _read(settings.name, CIFAR100, _cifar_archives(CIFAR100), _train_flag, _cifar_split, progress)


def read_mnist(settings: Mnist, progress: Progress) -> Source:
    """60,000 training and 10,000 test digits."""
    from torchvision.datasets import MNIST

    return _read(settings.name, MNIST, _mnist_archives(MNIST), _train_flag, _mnist_split, progress)


def read_fashion_mnist(settings: FashionMnist, progress: Progress) -> Source:
    """60,000 training and 10,000 test pieces of clothing."""
    from torchvision.datasets import FashionMNIST

    return _read(settings.name, FashionMNIST, _mnist_archives(FashionMNIST), _train_flag, _mnist_split, progress)


def read_svhn(settings: Svhn, progress: Progress) -> Source:
    """73,257 training and 26,032 test house numbers; the extra training set is not used."""
    from torchvision.datasets import SVHN

    return _read(settings.name, SVHN, _svhn_archives(SVHN), _split_name, _svhn_split, progress)


def _read(
    name: str,
    kind: Callable[..., Opened],
    archives: Callable[[Path], list[Archive]],
    which: Callable[[bool], dict[str, object]],
    convert: Callable[[Opened], Split],
    progress: Progress,
) -> Source:
    folder = data_folder() / name
    try:
        opened = [kind(str(folder), download=False, **which(train)) for train in (True, False)]
    except RuntimeError:  # torchvision's word for absent, incomplete or of a wrong checksum
        fetch(name, archives(folder), progress)
        opened = [_opened(kind, folder, name, which(train)) for train in (True, False)]
    except Exception as error:
        raise _damaged(name, folder, error) from error
    train, test = opened
    classes = tuple(getattr(train, "classes", None) or [str(digit) for digit in range(10)])
    return Source(train=convert(train), test=convert(test), classes=classes, train_name=name, test_name=name)


def _opened(kind: Callable[..., Opened], folder: Path, name: str, which: dict[str, object]) -> Opened:
    try:
        return kind(str(folder), download=True, **which)  # finds the archive there, checks and unpacks it
    except Exception as error:  # readers of pickle, idx and mat files raise anything for a broken file
        raise _damaged(name, folder, error) from error


def _damaged(name: str, folder: Path, error: Exception) -> DataError:
    return DataError(f"the files of {name} in {folder} are damaged ({error}); delete that folder and start again")


def _train_flag(train: bool) -> dict[str, object]:
    return {"train": train}


def _split_name(train: bool) -> dict[str, object]:
    return {"split": "train" if train else "test"}


def _cifar_archives(kind: Any) -> Callable[[Path], list[Archive]]:
    return lambda folder: [Archive(urls=(kind.url,), path=folder / kind.filename, md5=kind.tgz_md5)]


def _mnist_archives(kind: Any) -> Callable[[Path], list[Archive]]:
    return lambda folder: [
        Archive(
            urls=tuple(mirror + filename for mirror in kind.mirrors),
            path=folder / kind.__name__ / "raw" / filename,
            md5=md5,
        )
        for filename, md5 in kind.resources
    ]


def _svhn_archives(kind: Any) -> Callable[[Path], list[Archive]]:
    parts = (kind.split_list["train"], kind.split_list["test"])
    return lambda folder: [Archive(urls=(url,), path=folder / filename, md5=md5) for url, filename, md5 in parts]


def _cifar_split(opened: Opened) -> Split:
    images = torch.from_numpy(opened.data).permute(0, 3, 1, 2).contiguous()
    return Split(images=images, labels=torch.tensor(opened.targets))


def _mnist_split(opened: Opened) -> Split:
    images: Tensor = opened.data
    return Split(images=images[:, None].contiguous(), labels=opened.targets.long())


def _svhn_split(opened: Opened) -> Split:
    images = torch.from_numpy(np.ascontiguousarray(opened.data))
    return Split(images=images, labels=torch.from_numpy(opened.labels.astype(np.int64)))
