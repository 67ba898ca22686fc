"""From the settings of a data set to its three splits."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradscope.config import (
    Cifar10,
    Cifar100,
    DataSettings,
    Digits,
    FashionMnist,
    Folder,
    Mnist,
    Parquet,
    Rdrd,
    Shapes,
    Svhn,
    Voc,
)
from gradscope.data.dataset import Dataset, Progress, Source, Split, silent
from gradscope.data.digits import read_digits
from gradscope.data.distortion import distorted
from gradscope.data.folder import read_folder
from gradscope.data.parquet import read_parquet
from gradscope.data.rdrd import read_rdrd
from gradscope.data.shapes import read_shapes
from gradscope.data.sizes import n_validation
from gradscope.data.splits import leading_class, stratified_order, whole_recordings
from gradscope.data.torchvision_sets import read_cifar10, read_cifar100, read_fashion_mnist, read_mnist, read_svhn
from gradscope.data.voc import read_voc
from gradscope.errors import DataError

# Any: each function takes the settings class it stands beside
SOURCES: Mapping[type[DataSettings], Callable[[Any, Progress], Source]] = {
    Digits: read_digits,
    Shapes: read_shapes,
    Cifar10: read_cifar10,
    Cifar100: read_cifar100,
    Mnist: read_mnist,
    FashionMnist: read_fashion_mnist,
    Svhn: read_svhn,
    Voc: read_voc,
    Folder: read_folder,
    Parquet: read_parquet,
    Rdrd: read_rdrd,
}


def load(settings: DataSettings, seed: int, progress: Progress | None = None) -> Dataset:
    """The data set, checked, on the CPU.

    Args:
        settings: The source; one of `gradscope.config.data_classes()`.
        seed: Splits validation off the training pictures. The test pictures, and which pictures a `limit` keeps, do not
            depend on it, so that runs of several seeds are tested alike.
        progress: Called with (done, total) while pictures are decoded or downloaded.

    Raises:
        DataError: The pictures or labels cannot be trained on; names the file and the way out.
    """
    source = SOURCES[type(settings)](settings, progress or silent)
    check(source)
    if settings.distort != "none":
        _, spread = channel_statistics(source.train.images)
        source = distorted(source, settings.distort, settings.distort_level, spread, progress or silent)
    pool, test = (_limited(split, settings.limit) for split in (source.train, source.test))
    validates = _validation(pool, source.classes, settings.val_fraction, torch.Generator().manual_seed(seed))
    train = pool.take((~validates).nonzero().flatten())
    mean, std = channel_statistics(train.images)
    _, channels, height, width = pool.images.shape
    return Dataset(
        train=train,
        val=pool.take(validates.nonzero().flatten()),
        test=test,
        classes=source.classes,
        shape=(channels, height, width),
        fingerprint=fingerprint(source),
        mean=mean,
        std=std,
    )


def _validation(pool: Split, classes: Sequence[str], fraction: float, generator: torch.Generator) -> Tensor:
    """Which pictures validate, bool [N]."""
    if pool.recording is not None:
        return whole_recordings(pool.labels, pool.recording, classes, fraction, generator)
    validates = torch.zeros(len(pool), dtype=torch.bool)
    order = stratified_order(leading_class(pool.labels), generator)
    validates[order[: n_validation(len(pool), fraction)]] = True
    return validates


def check(source: Source) -> None:
    """DataError unless there are two classes, each with training pictures, and pictures of one shape to test on."""
    for split, name in ((source.train, source.train_name), (source.test, source.test_name)):
        if len(split) == 0:
            raise DataError(f"{name} holds no picture; put pictures there or choose another data set")
    _CHECKS[source.train.labels.dim()](source)
    train, test = (tuple(split.images.shape[1:]) for split in (source.train, source.test))
    if train != test:
        raise DataError(
            f"pictures in {source.test_name} are {test[2]}x{test[1]}, in {source.train_name} {train[2]}x{train[1]} "
            "(width x height); resize them to one size"
        )


def _check_one_label(source: Source) -> None:
    for split, name in ((source.train, source.train_name), (source.test, source.test_name)):
        low, high = int(split.labels.min()), int(split.labels.max())
        if low < 0 or high >= len(source.classes):
            raise DataError(
                f"{name} has labels {low}..{high} for {len(source.classes)} classes; labels must be "
                f"0..{len(source.classes) - 1}: correct them there"
            )
    counts = source.train.labels.bincount(minlength=len(source.classes))
    if len(source.classes) < 2 or int((counts > 0).sum()) < 2:
        raise DataError(f"{source.train_name} has pictures of one class only; a training needs at least two classes")
    if int(counts.min()) == 0:
        name = source.classes[int(counts.argmin())]
        raise DataError(f"class {name!r} has no picture in {source.train_name}; add some or remove the class")


def _check_several_labels(source: Source) -> None:
    for split, name in ((source.train, source.train_name), (source.test, source.test_name)):
        if not (split.labels > 0).any():
            raise DataError(f"{name} has no picture with a label; average precision needs at least one")


_CHECKS: Mapping[int, Callable[[Source], None]] = {1: _check_one_label, 2: _check_several_labels}
"""By the dimensions of the labels: [N] or [N, K]."""


def fingerprint(source: Source) -> str:
    """BLAKE2b hash of the shapes, pictures and labels of both splits; 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for tensor in (source.train.images, source.train.labels, source.test.images, source.test.labels):
        digest.update(repr(tuple(tensor.shape)).encode())
        digest.update(tensor.contiguous().numpy().data)
    return digest.hexdigest()


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation of each channel of uint8 images [N, C, H, W], in 0..1."""
    counts = torch.stack([images[:, c].flatten().bincount(minlength=256) for c in range(images.shape[1])])
    share = counts.double() / counts.sum(1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64) / 255
    mean = share @ values
    std = (share * (values - mean[:, None]).square()).sum(1).sqrt()
    return tuple(mean.tolist()), tuple(std.tolist())


def _limited(split: Split, limit: int | None) -> Split:
    if limit is None or limit >= len(split):
        return split
    order = stratified_order(leading_class(split.labels), torch.Generator().manual_seed(0))
    return split.take(order[:limit].sort().values)
