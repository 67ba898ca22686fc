"""How large a data set is, without loading it and without torch: the launch page asks at every key stroke."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

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
    Settings,
    Shapes,
    Svhn,
    Voc,
)

DIGITS_TEST = 270
"""15 % of the 1,797 digits, which come without a test set."""
FOLDER_TEST_FRACTION = 0.15
"""Share of a folder without a test set that becomes one."""


class DataShape(NamedTuple):
    """What a model and a launch form need to know of a data set."""

    shape: tuple[int, int, int]
    """Channels, height, width."""
    n_classes: int
    n_train: int
    """Training pictures, after `limit` and without validation."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    shape: tuple[int, int, int]
    n_classes: int
    n_pool: int


def n_validation(n_pool: int, fraction: float) -> int:
    """How many of the training pictures become validation: the rounded share, at least one, never all."""
    return min(max(1, round(n_pool * fraction)), n_pool - 1)


def n_test(n_pictures: int, fraction: float = FOLDER_TEST_FRACTION) -> int:
    """How many pictures of a tree without a test set are held out for one: the same rule."""
    return n_validation(n_pictures, fraction)


def steps_per_epoch(n_train: int, batch_size: int) -> int:
    """Optimiser steps of an epoch; the last batch may be smaller."""
    return -(-n_train // batch_size)


def data_shape(settings: DataSettings) -> DataShape | None:
    """Size of the data set; None when its folder or files cannot be read (`load` says why)."""
    try:
        known = _SIZES[type(settings)](settings)
    except (OSError, ValueError, KeyError, IndexError):  # pyarrow's and Pillow's errors and DataError are among them
        return None
    n_pool = min(known.n_pool, settings.limit or known.n_pool)
    n_train = n_pool - n_validation(n_pool, settings.val_fraction)
    return DataShape(shape=known.shape, n_classes=known.n_classes, n_train=n_train)


def _fixed(shape: tuple[int, int, int], n_classes: int, n_pool: int) -> Callable[[Settings], _Known]:
    return lambda _: _Known(shape=shape, n_classes=n_classes, n_pool=n_pool)


def _shapes(settings: Shapes) -> _Known:
    return _Known(shape=(3, 32, 32), n_classes=5, n_pool=settings.train_size)


def _folder(settings: Folder) -> _Known:
    from gradscope.data.folder_tree import find_pictures

    tree = find_pictures(settings.path)
    heads = [paths[0] for paths in tree.train.values()]
    shape = _picture_shape([Path(p).read_bytes() for p in heads[:_PROBED]])
    n_train = sum(len(paths) for paths in tree.train.values())
    size = settings.size
    return _Known(
        shape=(shape[0], size, size) if size else shape,
        n_classes=len(tree.train),
        n_pool=n_train if tree.test else n_train - n_test(n_train),
    )


def _parquet(settings: Parquet) -> _Known:
    import pyarrow.compute
    import pyarrow.parquet

    from gradscope.data import parquet_file
    from gradscope.data.folder_tree import existing_folder

    folder = existing_folder(settings.path, "a folder with train.parquet and test.parquet")
    with pyarrow.parquet.ParquetFile(folder / "train.parquet") as file:
        schema = file.schema_arrow
        image = parquet_file.image_column(schema, settings.path)
        label = parquet_file.label_column(schema, settings.label, settings.path)
        names = parquet_file.class_names(schema, label, settings.path)
        (rows,) = islice(file.iter_batches(batch_size=_PROBED, columns=[image]), 1)
        labels = pyarrow.compute.unique(file.read(columns=[label])[label]).to_pylist() if names is None else ()
        return _Known(
            shape=_picture_shape(parquet_file.encoded(rows[image])),
            n_classes=len(names) if names else 1 + max(k for k in labels if k is not None),
            n_pool=file.metadata.num_rows,
        )


VOC_POOL = {"2007": 5011, "2012": 5717}
"""Training photographs by year."""


def _voc(settings: Voc) -> _Known:
    return _Known(shape=(3, settings.size, settings.size), n_classes=20, n_pool=VOC_POOL[settings.year])


def _rdrd(settings: Rdrd) -> _Known:
    from gradscope.data.rdrd_files import find_frames, held_out, stacks

    found = find_frames(settings.path)
    first = stacks(found, settings.frames, settings.stride)
    n_test = int(held_out(found, first, settings.split).sum())
    height, width = found.shape
    return _Known(shape=(settings.frames, height, width), n_classes=len(found.classes), n_pool=len(first) - n_test)


_PROBED = 64  # a colour set may begin with a few grey pictures


def _picture_shape(pictures: Sequence[bytes | None]) -> tuple[int, int, int]:
    import io

    from PIL import Image

    opened = [Image.open(io.BytesIO(p)) for p in pictures if p is not None]
    channels = 1 if all(i.mode in {"1", "L"} for i in opened) else 3
    return channels, opened[0].height, opened[0].width


# Any: each function takes the settings class it stands beside
_SIZES: Mapping[type[DataSettings], Callable[[Any], _Known]] = {
    Digits: _fixed((1, 8, 8), 10, 1797 - DIGITS_TEST),
    Shapes: _shapes,
    Cifar10: _fixed((3, 32, 32), 10, 50_000),
    Cifar100: _fixed((3, 32, 32), 100, 50_000),
    Mnist: _fixed((1, 28, 28), 10, 60_000),
    FashionMnist: _fixed((1, 28, 28), 10, 60_000),
    Svhn: _fixed((3, 32, 32), 10, 73_257),
    Voc: _voc,
    Folder: _folder,
    Parquet: _parquet,
    Rdrd: _rdrd,
}
