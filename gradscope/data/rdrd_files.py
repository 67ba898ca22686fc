"""Range-Doppler frames on disk, as the Real Doppler RAD-DAR data have them. No torch: the launch page counts them too.

A recording is one acquisition of the radar; a session is an uninterrupted part of it. A CSV tree names them by folders,
`CLASS/SESSION/FRAME.csv`, where SESSION begins with the time of its recording, such as 13-13 or 13-13p. Parquet files
have a row a frame with columns rd (the matrix, row after row), shape, label, acquisition, session and frame.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gradscope.data.folder_tree import existing_folder
from gradscope.errors import DataError

FORM = "the folder of range-Doppler frames, CLASS/RECORDING/FRAME.csv or train.parquet and test.parquet"
TEST_FRACTION = 0.15
_TEST_SEED = 0  # which stacks are the test does not depend on the run
_COLUMNS = ("label", "acquisition", "session", "frame", "shape")

Progress = Callable[[int, int], None]
Ints = NDArray[np.int64]
Values = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Frames:
    """N frames in the order of their sessions and numbers; the values are read when asked for."""

    classes: tuple[str, ...]
    shape: tuple[int, int]
    """Range rows and Doppler columns of a frame."""
    label: Ints
    """[N], 0..K-1."""
    recording: Ints
    """[N]."""
    session: Ints
    """[N]; frames of different sessions do not follow each other."""
    number: Ints
    """[N], rising within a session."""
    given_test: NDArray[np.bool_] | None
    """[N]: whether the files themselves hold it out for the test; None where they do not say."""
    read: Callable[[Progress], Values]
    """The frames, float32 [N, height, width] in dB; DataError names the file of a broken one."""


def find_frames(path: str) -> Frames:
    """Every frame below a folder, without its values.

    Raises:
        DataError: The folder is missing, holds no frame, or its files or columns are not of the form.
    """
    folder = existing_folder(path, FORM)
    return _of_parquet(folder) if (folder / "train.parquet").exists() else _of_tree(folder)


def stacks(found: Frames, length: int, stride: int) -> Ints:
    """Index of the first frame of every stack of that many frames which follow each other in one session."""
    last = np.arange(length - 1, len(found.label))
    first = last - (length - 1)
    follows = (found.session[first] == found.session[last]) & (found.number[last] - found.number[first] == length - 1)
    _, begin, of = np.unique(found.session, return_index=True, return_inverse=True)
    whole: Ints = first[follows & ((first - begin[of[first]]) % stride == 0)]
    return whole


def held_out(found: Frames, first: Ints, split: str) -> NDArray[np.bool_]:
    """Which stacks are the test: whole recordings, or 15 % of each class at random.

    Whole recordings are those that the files hold out themselves, else about 15 % of each class, drawn.

    Raises:
        DataError: A class has too few recordings for training, validation and test.
    """
    random = np.random.default_rng(_TEST_SEED)
    label, recording = found.label[first], found.recording[first]
    test = np.zeros(len(first), dtype=bool)
    if split == "recording" and found.given_test is not None:
        return found.given_test[first]
    for k in np.unique(label):
        of_class = np.flatnonzero(label == k)
        groups = recording[of_class] if split == "recording" else np.arange(len(of_class))
        if len(np.unique(groups)) < 3:
            raise DataError(
                f"class {found.classes[k]!r} has fewer than three recordings with stacks, one each for training, "
                "validation and test; set data.split=random or add recordings"
            )
        test[of_class] = _share(groups, random)
    return test


def _share(groups: Ints, random: np.random.Generator) -> NDArray[np.bool_]:
    """Whole groups until their share is reached, and never all of them."""
    names, sizes = np.unique(groups, return_counts=True)
    order = random.permutation(len(names))
    before = np.cumsum(sizes[order]) - sizes[order]
    taken = order[before + sizes[order] / 2 <= TEST_FRACTION * len(groups)]
    taken = taken if len(taken) else order[: min(1, len(order) - 1)]
    chosen: NDArray[np.bool_] = np.isin(groups, names[taken])
    return chosen


def _codes(names: Sequence[str]) -> Ints:
    return np.unique(np.asarray(names), return_inverse=True)[1].astype(np.int64)


def _of_parquet(folder: Path) -> Frames:
    paths = [folder / "train.parquet", folder / "test.parquet"]
    tables = [_table(path, _COLUMNS) for path in paths]
    rows = {name: [v for t in tables for v in t[name].to_pylist()] for name in _COLUMNS}
    order = np.lexsort((rows["frame"], rows["session"]))
    shapes = {tuple(shape) for shape in rows["shape"]}
    if len(shapes) != 1 or not rows["shape"]:
        raise DataError(f"frames in {folder} have the shapes {sorted(shapes)}; all must have one shape")
    label = np.asarray(rows["label"])
    named = {int(k): str(a).partition("/")[0] for k, a in zip(rows["label"], rows["acquisition"], strict=True)}
    if set(named) != set(range(len(named))):
        raise DataError(f"labels in {folder} are {sorted(named)}; labels must be whole numbers from 0 without a gap")
    (height, width), n_train = shapes.pop(), tables[0].num_rows
    return Frames(
        classes=tuple(named[k] for k in range(len(named))),
        shape=(height, width),
        label=label[order].astype(np.int64),
        recording=_codes(rows["acquisition"])[order],
        session=_codes(rows["session"])[order],
        number=np.asarray(rows["frame"], dtype=np.int64)[order],
        given_test=(np.arange(len(label)) >= n_train)[order],
        read=lambda progress: _parquet_values(paths, (height, width), progress)[order],
    )


def _table(path: Path, columns: Sequence[str]) -> pa.Table:
    if not path.is_file():
        raise DataError(f"{path} is missing; give {FORM}")
    try:
        known = pq.read_schema(path).names
        missing = [c for c in columns if c not in known]
        if missing:
            raise DataError(f"{path} has no column {', '.join(missing)}, only {', '.join(known)}; give {FORM}")
        return pq.read_table(path, columns=list(columns))
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as parquet ({error}); fetch or write it again") from error


def _parquet_values(paths: Sequence[Path], shape: tuple[int, int], progress: Progress) -> Values:
    parts = []
    for done, path in enumerate(paths):
        progress(done, len(paths))
        column = _table(path, ["rd"])["rd"].combine_chunks()
        values = column.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        if len(values) != len(column) * shape[0] * shape[1] or column.null_count:
            raise DataError(
                f"column rd of {path} does not hold {shape[0]} x {shape[1]} numbers in every row; correct it"
            )
        parts.append(_finite(values.reshape(-1, *shape), f"row {{}} of {path}".format))
    progress(len(paths), len(paths))
    return np.concatenate(parts)


def _finite(values: Values, name: Callable[[int], str]) -> Values:
    broken = ~np.isfinite(values).all(axis=(1, 2))
    if broken.any():
        raise DataError(f"{name(int(broken.argmax()))} holds values that are not finite; remove the frame")
    return values


def _of_tree(folder: Path) -> Frames:
    found = [(path.relative_to(folder).parts, path) for path in folder.rglob("*.csv")]
    found = [(parts, path) for parts, path in found if len(parts) == 3]
    classes = tuple(sorted({parts[0] for parts, _ in found}))
    if not classes:
        raise DataError(f"folder {folder} holds no CLASS/RECORDING/FRAME.csv; give {FORM}")
    found.sort(key=lambda entry: (entry[0][:2], _number(entry[1])))
    for key, twins in groupby(found, key=lambda entry: (entry[0][:2], _number(entry[1]))):
        if len(list(twins)) > 1:
            raise DataError(f"{folder / key[0][0] / key[0][1]} has two frames of number {key[1]}; remove one")
    sessions = ["/".join(parts[:2]) for parts, _ in found]
    paths = [path for _, path in found]
    shape = _matrix(paths[0]).shape
    return Frames(
        classes=classes,
        shape=(shape[0], shape[1]),
        label=np.array([classes.index(parts[0]) for parts, _ in found], dtype=np.int64),
        recording=_codes([_recording(parts) for parts, _ in found]),
        session=_codes(sessions),
        number=np.array([_number(path) for path in paths], dtype=np.int64),
        given_test=None,
        read=lambda progress: _tree_values(paths, progress),
    )


def _recording(parts: Sequence[str]) -> str:
    """The class and the time of the recording: sessions of one time, such as 13-13 and 13-13p, are one recording."""
    time = re.match(r"\d+-\d+", parts[1])
    return f"{parts[0]}/{time[0] if time else parts[1]}"


def _number(path: Path) -> int:
    digits = re.search(r"\d+$", path.stem)
    if digits is None:
        raise DataError(f"{path} has no number in its name, such as 001.csv; frames are put in order by it")
    return int(digits[0])


def _matrix(path: Path) -> Values:
    try:
        rows = [line.split(",") for line in path.read_text().split()]
        return np.array(rows, dtype=np.float32)
    except (OSError, ValueError) as error:  # rows of different lengths, a word, no text
        raise DataError(f"{path} is no table of numbers, comma-separated and without a header ({error})") from error


def _tree_values(paths: Sequence[Path], progress: Progress) -> Values:
    first = _matrix(paths[0])
    values = np.empty((len(paths), *first.shape), np.float32)
    for i, path in enumerate(paths):
        matrix = _matrix(path)
        if matrix.shape != first.shape:
            raise DataError(f"{path} has the shape {matrix.shape}, and {paths[0]} {first.shape}; all must have one")
        values[i] = matrix
        if i % 256 == 0:
            progress(i, len(paths))
    progress(len(paths), len(paths))
    return _finite(values, lambda i: str(paths[i]))
