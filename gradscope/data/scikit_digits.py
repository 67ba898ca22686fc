"""The hand-written digits that come with scikit-learn, read without loading it."""

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SIDE = 8


def read_scikit_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All 1,797 of them.

    Read from scikit-learn's file as its `load_digits` does, which takes a second and a half to import, more than a
    short training takes; where the file is not to be found, that function reads them.

    Returns:
        Pictures of shape (1797, 8, 8), 0..16; labels of shape (1797,), 0..9.

    Source:
        Alpaydin & Kaynak (1998), Optical Recognition of Handwritten Digits, UCI; its test set.

    >>> pictures, labels = read_scikit_digits()
    >>> pictures.shape, int(pictures.max()), labels[:3].tolist()
    ((1797, 8, 8), 16, [0, 1, 2])
    """
    file = _file()
    if file is None:
        from sklearn.datasets import load_digits

        bunch = load_digits()
        return bunch.images.astype(np.uint8), bunch.target.astype(np.int64)
    with gzip.open(file, "rt") as lines:
        table = np.loadtxt(lines, delimiter=",", dtype=np.uint8)
    return table[:, :-1].reshape(-1, SIDE, SIDE), table[:, -1].astype(np.int64)


def _file() -> Path | None:
    spec = find_spec("sklearn")
    if spec is None or spec.origin is None:
        return None
    file = Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"
    return file if file.is_file() else None
