"""Points of robustness: written once, read as curves that belong together."""

from dataclasses import replace

import numpy as np
import pytest

from gradscope.errors import RunNotFound
from gradscope.measured import CLEAN, RobustnessPoint
from gradscope.store import read, read_robustness, write_robustness

POINT = RobustnessPoint(
    kind="gaussian_noise",
    level=0.5,
    seed=0,
    draws=2,
    images=3,
    step=10,
    fingerprint="f1",
    accuracy=0.5,
    deviation=0.1,
    accuracies=(0.4, 0.6),
    per_class={"cat": 0.5, "dog": None},
    right=bytes([2, 1, 0]),
    device="cpu",
    settings={"name": "robustness"},
)
CLEAN_POINT = replace(POINT, kind=CLEAN, level=0.0, draws=1, accuracy=0.9, deviation=None, right=bytes([1, 1, 0]))


@pytest.fixture
def put(store, new_run):
    run_id = new_run()

    def write(*points):
        for point in points:
            write_robustness.point(store, run_id, point)
        return run_id

    return write


def test_a_point_comes_back_as_it_was_written_and_the_runs_revision_goes_up(store, put):
    run_id = put(CLEAN_POINT)
    before = read.run(store, run_id).revision
    put(POINT)
    assert read.run(store, run_id).revision == before + 1
    found = read_robustness.points(store, [run_id])
    assert found["level"].tolist() == [0.0, 0.5]
    assert found["accuracy"].tolist() == [0.9, 0.5]
    assert found["deviation"].isna().tolist() == [True, False]
    assert found["kind"].tolist() == ["gaussian_noise"] * 2
    assert found["per_class"].tolist() == [{"cat": 0.5, "dog": None}] * 2


def test_the_same_point_again_takes_the_place_of_the_first(store, put):
    run_id = put(POINT, replace(POINT, accuracy=0.25))
    assert read_robustness.points(store, [run_id])["accuracy"].tolist() == [0.25]


def test_what_is_known_is_known_of_these_weights_only(store, put):
    run_id = put(POINT, CLEAN_POINT)
    assert read_robustness.known(store, run_id, "f1") == {("gaussian_noise", 0.5, 0, 2, 3), (CLEAN, 0.0, 0, 1, 3)}
    assert read_robustness.known(store, run_id, "f2") == set()


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"draws": 5}, {"images": 2, "right": b"ab"}, {"fingerprint": "f2", "step": 20}]
)
def test_a_curve_holds_only_points_that_were_measured_like_its_newest(store, put, other):
    run_id = put(CLEAN_POINT, replace(POINT, level=0.2), POINT, replace(POINT, level=0.3, **other))
    found = read_robustness.points(store, [run_id])
    with_clean = other.keys() <= {"seed", "draws"}
    assert found["level"].tolist() == ([0.0, 0.3] if with_clean else [0.3])


def test_each_kind_has_a_clean_point_of_its_own(store, put):
    run_id = put(CLEAN_POINT, POINT, replace(POINT, kind="fog", level=2.0))
    found = read_robustness.points(store, [run_id])
    assert list(zip(found["kind"], found["level"], strict=True)) == [
        ("fog", 0.0),
        ("fog", 2.0),
        ("gaussian_noise", 0.0),
        ("gaussian_noise", 0.5),
    ]


def test_nothing_measured_is_an_empty_table_with_its_columns(store, put):
    run_id = put()
    assert read_robustness.points(store, [run_id]).columns.tolist() == read_robustness.POINT_COLUMNS
    assert read_robustness.points(store, []).empty


def test_which_pictures_were_right_is_read_as_shares_of_the_draws(store, put):
    run_id = put(POINT, CLEAN_POINT, replace(POINT, kind="fog"), replace(POINT, seed=3))
    levels, right = read_robustness.right_counts(store, run_id, "f1", "gaussian_noise", 0, 2, 3)
    assert levels.tolist() == [0.0, 0.5]
    assert np.array_equal(right, [[1, 1, 0], [1, 0.5, 0]])


def test_points_of_a_deleted_run_are_refused(store):
    with pytest.raises(RunNotFound, match="run 9 is not in the store"):
        write_robustness.point(store, 9, POINT)
