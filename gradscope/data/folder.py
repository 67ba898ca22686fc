"""A folder of pictures, one sub-folder a class."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from gradscope.config import Folder
from gradscope.data.dataset import Progress, Source, Split
from gradscope.data.folder_tree import find_pictures
from gradscope.data.pictures import decode_both
from gradscope.data.sizes import n_test
from gradscope.data.splits import stratified_order
from gradscope.errors import DataError

_TEST_SEED = 0  # which pictures of a single tree are the test does not depend on the run


def read_folder(settings: Folder, progress: Progress) -> Source:
    """The pictures in train/ and test/, or of one tree of which 15 % of each class are held out for the test."""
    tree = find_pictures(settings.path)
    files, labels = _listed(tree.train)
    if tree.test is None:
        files, labels, test_files, test_labels = _held_out(files, labels, tree.train_folder)
    else:
        test_files, test_labels = _listed(tree.test)
    names = (lambda i: str(files[i]), lambda i: str(test_files[i]))
    train_images, test_images = decode_both(files, test_files, names, settings.size, progress)
    return Source(
        train=Split(images=train_images, labels=labels),
        test=Split(images=test_images, labels=test_labels),
        classes=tuple(tree.train),
        train_name=str(tree.train_folder),
        test_name=str(tree.test_folder),
    )


def _listed(classes: Mapping[str, tuple[Path, ...]]) -> tuple[list[Path], Tensor]:
    files = [path for paths in classes.values() for path in paths]
    sizes = torch.tensor([len(paths) for paths in classes.values()])
    return files, torch.arange(len(classes)).repeat_interleave(sizes)


def _held_out(files: list[Path], labels: Tensor, folder: Path) -> tuple[list[Path], Tensor, list[Path], Tensor]:
    if len(files) < 10:
        raise DataError(f"{folder} has only {len(files)} pictures; at least 10 are needed to hold out a test")
    order = stratified_order(labels, torch.Generator().manual_seed(_TEST_SEED))
    n = n_test(len(files))
    test, train = order[:n].sort().values, order[n:].sort().values
    return [files[i] for i in train], labels[train], [files[i] for i in test], labels[test]
