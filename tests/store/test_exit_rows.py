"""Exits: written once, read as they were measured last."""

from dataclasses import replace

import pytest
from measured_exits import POINT, SWEEP

from gradscope.errors import RunNotFound
from gradscope.store import read, read_exits, write_exits

FIRST = POINT
LAST = replace(FIRST, exit=2, point=None, accuracy=0.8, macs=200, macs_asking=210)


def test_exits_come_back_in_their_order_and_the_revision_goes_up(store, new_run):
    run_id = new_run()
    before = read.run(store, run_id).revision
    write_exits.exits(store, run_id, [LAST, FIRST], [SWEEP])
    assert read.run(store, run_id).revision == before + 1
    found = read_exits.exits(store, [run_id])
    assert found[["exit", "accuracy", "macs_asking"]].values.tolist() == [[1, 0.5, 100], [2, 0.8, 210]]
    assert found["point"].tolist()[0] == "blocks.0"
    assert found["point"].isna().tolist() == [False, True]
    sweep = read_exits.sweeps(store, [run_id]).iloc[0]
    assert (sweep["rule"], sweep["threshold"], sweep["macs"], sweep["left"]) == ("confidence", 0.5, 150.5, [6, 4])


def test_the_same_again_takes_the_place_of_the_first(store, new_run):
    run_id = new_run()
    write_exits.exits(store, run_id, [FIRST], [SWEEP])
    write_exits.exits(store, run_id, [replace(FIRST, accuracy=0.6)], [replace(SWEEP, left=(9, 1))])
    assert read_exits.exits(store, [run_id])["accuracy"].tolist() == [0.6]
    assert read_exits.sweeps(store, [run_id])["left"].tolist() == [[9, 1]]


def test_of_several_measurements_the_newest_is_read_whole(store, new_run):
    one, other = new_run(), new_run()
    write_exits.exits(store, one, [FIRST, LAST], [SWEEP])
    write_exits.exits(store, one, [replace(FIRST, images=20, accuracy=0.4)])
    write_exits.exits(store, other, [FIRST])
    found = read_exits.exits(store, [one, other])
    assert found[["run", "images", "accuracy"]].values.tolist() == [[one, 20, 0.4], [other, 10, 0.5]]
    assert read_exits.exits(store, []).empty
    assert list(read_exits.sweeps(store, [other]).columns) == read_exits.SWEEP_COLUMNS


def test_a_deleted_run_gets_nothing(store, new_run):
    with pytest.raises(RunNotFound, match="it was deleted"):
        write_exits.exits(store, 99, [FIRST])
