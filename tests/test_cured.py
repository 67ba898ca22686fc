"""The file of a cure, and the tree in it."""

from pathlib import Path

import pytest

from gradscope.cured import Cured, Tried, in_depth, remedies_of
from gradscope.errors import StoreDamaged

TRIED = (
    Tried(run_id=1, remedy=None, parent=None),
    Tried(run_id=2, remedy="ReLU", parent=0),
    Tried(run_id=3, remedy="norms", parent=0),
    Tried(run_id=4, remedy="Adam", parent=1),
)


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "1" / "cure.json"
    assert Cured.load(path) is None
    for winner in (None, 3):
        Cured(tried=TRIED, winner=winner).save(path)
        assert Cured.load(path) == Cured(tried=TRIED, winner=winner)
    assert [file.name for file in path.parent.iterdir()] == ["cure.json"]


@pytest.mark.parametrize("text", ["{", "{}", '{"tried": [{"run": 1}], "winner": null}', "3"])
def test_a_torn_file_is_said_to_be_one(tmp_path: Path, text: str) -> None:
    path = tmp_path / "cure.json"
    path.write_text(text)
    with pytest.raises(StoreDamaged, match=r"cannot be read .*; remove that file, then start the cure again"):
        Cured.load(path)


def test_children_stand_below_their_parent() -> None:
    assert in_depth(TRIED) == [(0, 0), (1, 1), (3, 2), (2, 1)]


def test_remedies_on_top_of_each_other_are_named_together() -> None:
    assert [remedies_of(TRIED, place) for place in (0, 1, 3)] == ["", "ReLU", "ReLU + Adam"]
