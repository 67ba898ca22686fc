"""Pascal VOC through torchvision, as classification: which of 20 classes of objects a picture shows (Everingham et al.
2010, "The Pascal Visual Object Classes (VOC) Challenge").
"""

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradscope.config import Voc
from gradscope.data.dataset import Progress, Source, Split
from gradscope.data.download import Archive, fetch
from gradscope.data.pictures import decode_both
from gradscope.errors import DataError
from gradscope.paths import data_folder

CLASSES = (
    *("aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog"),
    *("horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
PARTS = {"2007": ("trainval", "test"), "2012": ("train", "val")}
"""For training and test, by year; the labels of later tests are not public."""

Opened = Any  # a torchvision dataset; torchvision carries no types


def read_voc(settings: Voc, progress: Progress) -> Source:
    """The photographs, resized, and for each class whether it is there (1), not (0), or does not count (-1).

    A class of which a picture shows difficult objects only, by the annotators' word, does not count for that picture,
    neither in training nor in the test: the challenge's own evaluation of classification leaves them out too.

    Raises:
        DataError: the files cannot be had, or an annotation is damaged; names it.
    """
    train, test = _opened(settings, progress)
    names = (lambda i: str(train.images[i]), lambda i: str(test.images[i]))
    files = [[Path(f) for f in part.images] for part in (train, test)]
    labels = [read_labels([Path(f) for f in part.annotations]) for part in (train, test)]
    images, test_images = decode_both(files[0], files[1], names, settings.size, progress)
    return Source(
        train=Split(images=images, labels=labels[0]),
        test=Split(images=test_images, labels=labels[1]),
        classes=CLASSES,
        train_name=f"voc {settings.year} {PARTS[settings.year][0]}",
        test_name=f"voc {settings.year} {PARTS[settings.year][1]}",
    )


def _opened(settings: Voc, progress: Progress) -> list[Opened]:
    from torchvision.datasets import VOCDetection
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    folder, parts = data_folder() / settings.name, PARTS[settings.year]

    def opened(download: bool) -> list[Opened]:
        return [VOCDetection(str(folder), settings.year, part, download=download) for part in parts]

    try:
        return opened(download=False)
    except (RuntimeError, FileNotFoundError):  # torchvision's words for absent, and for unpacked in part
        known = [DATASET_YEAR_DICT[key] for key in _ARCHIVES[settings.year]]
        archives = [Archive(urls=(k["url"],), path=folder / k["filename"], md5=k["md5"]) for k in known]
        fetch(settings.name, archives, progress)
    try:
        return opened(download=True)  # finds the archives there, checks and unpacks them
    except Exception as error:  # tar files raise anything when they are broken
        raise DataError(
            f"the files of voc in {folder} are damaged ({error}); delete that folder and start again"
        ) from error


_ARCHIVES = {"2007": ("2007", "2007-test"), "2012": ("2012",)}
"""By torchvision's names."""


def read_labels(annotations: Sequence[Path]) -> Tensor:
    """Labels of pictures from their annotations, int8 [N, 20]; see `read_voc`."""
    return torch.tensor([_labels(path) for path in annotations], dtype=torch.int8).reshape(-1, len(CLASSES))


def _labels(path: Path) -> list[int]:
    try:
        objects = list(ET.parse(path).getroot().iter("object"))
    except (ET.ParseError, OSError) as error:
        raise DataError(f"annotation {path} cannot be read ({error}); fetch it again") from error
    found = [0] * len(CLASSES)
    for thing in objects:
        name, difficult = (thing.findtext(tag, default).strip() for tag, default in (("name", ""), ("difficult", "0")))
        if name not in CLASSES or difficult not in {"0", "1"}:
            raise DataError(
                f"annotation {path} has an object {name!r} with difficult={difficult!r}; known are "
                f"{', '.join(CLASSES)}, and 0 or 1: correct it there"
            )
        place = CLASSES.index(name)
        found[place] = 1 if difficult == "0" else (found[place] or -1)
    return found
