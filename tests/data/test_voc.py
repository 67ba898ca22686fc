"""Pascal VOC as classification, on a tiny tree of the true form."""

import tarfile
from pathlib import Path

import pytest
import torch
from torchvision.datasets.voc import DATASET_YEAR_DICT
from voc_tree import SHOWN, annotation, write_voc

from gradscope.config import Voc
from gradscope.data import load
from gradscope.data.sizes import VOC_POOL, data_shape
from gradscope.data.splits import leading_class
from gradscope.data.voc import CLASSES, read_labels
from gradscope.errors import DataError

SMALL = Voc(size=32, val_fraction=0.25)


@pytest.fixture
def voc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the annotations."""
    monkeypatch.setenv("GRADSCOPE_DATA", str(tmp_path))
    return write_voc(tmp_path / "voc", {"trainval": 12, "test": 6})


def told(labels: torch.Tensor) -> list[dict[str, int]]:
    return [{CLASSES[int(k)]: int(row[k]) for k in row.nonzero().flatten()} for row in labels]


def test_a_class_is_there_or_not_or_does_not_count_where_all_its_objects_are_difficult(voc: Path) -> None:
    data = load(SMALL, seed=0)
    assert told(data.test.labels) == [
        *({"cat": 1}, {"dog": 1}, {"bus": 1}, {"person": 1}, {"cat": 1, "person": 1}, {"dog": 1, "bus": -1})
    ]
    assert data.test.labels.dtype == torch.int8
    assert (data.classes, data.shape) == (CLASSES, (3, 32, 32))
    assert (len(data.train), len(data.val), len(data.test)) == (9, 3, 6)


def test_validation_comes_out_of_the_training_pictures_by_the_seed(voc: Path) -> None:
    one, same, other = (load(SMALL, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.val.labels, same.val.labels)
    assert not torch.equal(one.val.labels, other.val.labels)
    assert torch.equal(one.test.labels, other.test.labels)
    assert one.fingerprint == other.fingerprint


def test_a_split_keeps_the_shares_of_the_rarest_class_of_each_picture() -> None:
    labels = torch.tensor([[1, 0, 1], [1, 0, 0], [1, 1, 0], [0, -1, 0]], dtype=torch.int8)
    assert leading_class(labels).tolist() == [2, 0, 1, 0]
    assert leading_class(torch.tensor([3, 1])).tolist() == [3, 1]


def test_the_test_of_2012_is_its_val_because_later_labels_are_not_public(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADSCOPE_DATA", str(tmp_path))
    write_voc(tmp_path / "voc", {"train": 8, "val": 6}, year="2012")
    data = load(Voc(size=32, year="2012", val_fraction=0.25), seed=0)
    assert (len(data.train) + len(data.val), len(data.test)) == (8, 6)
    assert (Voc(year="2012").points, Voc().points) == ("all", "eleven")


def test_its_size_is_known_without_a_look(voc: Path) -> None:
    assert data_shape(Voc(size=64, limit=100)) == ((3, 64, 64), 20, 90)
    assert VOC_POOL == {"2007": 5011, "2012": 5717}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<annotation><object><name>cat", r"test_003\.xml cannot be read \(no element found"),
        (annotation([("unicorn", 0)]), r"test_003\.xml has an object 'unicorn' with difficult='0'; known are aero"),
        (annotation([("cat", 7)]), r"test_003\.xml has an object 'cat' with difficult='7'"),
        ("<annotation><object></object></annotation>", r"test_003\.xml has an object '' with"),
        (None, r"test_003\.xml cannot be read \(\[Errno 2\] No such file"),
    ],
)
def test_a_bad_annotation_is_refused_by_its_name(voc: Path, content: str | None, message: str) -> None:
    file = voc / "test_003.xml"
    file.unlink()
    if content is not None:
        file.write_text(content)
    with pytest.raises(DataError, match=message):
        load(SMALL, seed=0)


def test_objects_that_are_not_said_to_be_difficult_are_not(tmp_path: Path) -> None:
    file = tmp_path / "a.xml"
    file.write_text("<annotation><object><name>cow</name></object></annotation>")
    assert told(read_labels([file])) == [{"cow": 1}]
    assert read_labels([]).shape == (0, 20)


def test_archives_that_lie_there_are_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after a download: `fetch` finds them by their checksums and asks nobody."""
    import hashlib

    monkeypatch.setenv("GRADSCOPE_DATA", str(tmp_path))
    (tmp_path / "voc").mkdir()
    for part, key in (("trainval", "2007"), ("test", "2007-test")):
        write_voc(tmp_path / part, {part: 6})
        archive = tmp_path / "voc" / DATASET_YEAR_DICT[key]["filename"]
        with tarfile.open(archive, "w") as tar:
            tar.add(tmp_path / part / "VOCdevkit", "VOCdevkit")
        md5 = hashlib.md5(archive.read_bytes(), usedforsecurity=False).hexdigest()
        monkeypatch.setitem(DATASET_YEAR_DICT, key, {**DATASET_YEAR_DICT[key], "md5": md5})
    data = load(SMALL, seed=0)
    assert len(data.train) + len(data.val) == len(data.test) == len(SHOWN)
