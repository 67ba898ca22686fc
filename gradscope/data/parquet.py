"""A folder with train.parquet and test.parquet, as Hugging Face image data sets have them."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from gradscope.config import Parquet
from gradscope.data import parquet_file
from gradscope.data.dataset import Progress, Source, Split
from gradscope.data.folder_tree import existing_folder
from gradscope.data.pictures import decode_both
from gradscope.errors import DataError


@dataclass(frozen=True, kw_only=True)
class _Table:
    path: Path
    pictures: list[bytes]
    labels: Tensor
    names: tuple[str, ...] | None

    def row(self, i: int) -> str:
        return f"the picture in row {i} of {self.path}"


def read_parquet(settings: Parquet, progress: Progress) -> Source:
    """The pictures of both files; class names from the schema's metadata, else the numbers themselves."""
    folder = existing_folder(settings.path, "a folder with train.parquet and test.parquet")
    train, test = (_read(folder / f"{split}.parquet", settings.label) for split in ("train", "test"))
    images, test_images = decode_both(train.pictures, test.pictures, (train.row, test.row), None, progress)
    return Source(
        train=Split(images=images, labels=train.labels),
        test=Split(images=test_images, labels=test.labels),
        classes=train.names or _numbers(train.labels, test.labels),
        train_name=str(train.path),
        test_name=str(test.path),
    )


def _numbers(*labels: Tensor) -> tuple[str, ...]:
    return tuple(str(i) for i in range(max((int(part.max()) for part in labels if len(part)), default=-1) + 1))


def _read(path: Path, wanted: str | None) -> _Table:
    if not path.is_file():
        raise DataError(f"{path} is missing; the folder needs train.parquet and test.parquet")
    try:
        schema = pq.read_schema(path)
        image = parquet_file.image_column(schema, str(path))
        label = parquet_file.label_column(schema, wanted, str(path))
        table = pq.read_table(path, columns=[image, label])
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet ({error}); fetch or write it again") from error
    return _Table(
        path=path,
        pictures=_pictures(table[image], path),
        labels=_labels(table[label], label, path),
        names=parquet_file.class_names(schema, label, str(path)),
    )


def _pictures(column: pa.ChunkedArray, path: Path) -> list[bytes]:
    found = [picture for chunk in column.chunks for picture in parquet_file.encoded(chunk)]
    if None in found:
        raise DataError(f"row {found.index(None)} of {path} has no picture; remove the row")
    return [picture for picture in found if picture is not None]


def _labels(column: pa.ChunkedArray, name: str, path: Path) -> Tensor:
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise DataError(f"row {row} of {path} has no {name}; remove the row")
    return torch.tensor(column.to_numpy(), dtype=torch.int64)
