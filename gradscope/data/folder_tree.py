"""The picture files of a folder, by class. No torch: the launch page counts them too."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from gradscope.errors import DataError

EXTENSIONS = frozenset({".jpg", ".jpeg", ".png", ".ppm", ".pgm", ".bmp", ".tif", ".tiff", ".webp", ".gif"})
TEST_FOLDERS = ("test", "val", "validation")
"""Where the test pictures are looked for, beside train/."""


@dataclass(frozen=True, kw_only=True)
class Tree:
    """Picture files by class, classes and files in alphabetical order."""

    train: Mapping[str, tuple[Path, ...]]
    train_folder: Path
    test: Mapping[str, tuple[Path, ...]] | None
    """None where the folder has no test pictures of its own."""
    test_folder: Path


def existing_folder(path: str, form: str) -> Path:
    """The folder that the user named; DataError, which says what form it must have, where it is none."""
    if not path:
        raise DataError(f"data.path is empty; give {form}")
    folder = Path(path).expanduser()
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "does not exist"
        raise DataError(f"folder {folder} {what}; give {form}")
    return folder


def find_pictures(path: str) -> Tree:
    """The pictures below a folder: in train/ and test/ (else val/), or all in one tree.

    Files that are no pictures by their ending, and hidden ones, are not looked at.

    Raises:
        DataError: The folder, its test folder, a class or its pictures are missing, or the classes differ.
    """
    folder = existing_folder(path, "the path of a folder with one sub-folder a class")
    train_folder = folder / "train"
    if not train_folder.is_dir():
        return Tree(train=_classes(folder), train_folder=folder, test=None, test_folder=folder)
    test_folder = next((folder / name for name in TEST_FOLDERS if (folder / name).is_dir()), None)
    if test_folder is None:
        raise DataError(
            f"folder {folder} has train/ but no test/; add test/ with the same classes, or give {train_folder} as the "
            "folder and 15 % of it become the test"
        )
    train, test = _classes(train_folder), _classes(test_folder)
    if set(train) != set(test):
        odd = ", ".join(sorted(set(train) ^ set(test)))
        raise DataError(f"{train_folder} and {test_folder} differ in the classes {odd}; give both the same sub-folders")
    return Tree(train=train, train_folder=train_folder, test=test, test_folder=test_folder)


def _classes(folder: Path) -> dict[str, tuple[Path, ...]]:
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise DataError(
            f"folder {folder} has no sub-folder; put the pictures of each class into a sub-folder of its own"
        )
    found = {name: tuple(_pictures(folder / name)) for name in names}
    for name, pictures in found.items():
        if not pictures:
            endings = ", ".join(sorted(EXTENSIONS))
            raise DataError(f"{folder / name} has no picture ({endings}); add some or remove the folder")
    return found


def _pictures(folder: Path) -> list[Path]:
    files = (Path(top) / name for top, _, names in os.walk(folder) for name in names if not name.startswith("."))
    return sorted(p for p in files if p.suffix.lower() in EXTENSIONS)
