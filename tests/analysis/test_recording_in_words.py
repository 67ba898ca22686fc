"""What a run's recording cost, in words."""

from dataclasses import replace

import pandas as pd
import pytest

from gradscope.analysis import recording
from gradscope.records import Pace, Status
from gradscope.store import open_store, read, write
from gradscope.store.read import SKIPPED_COLUMNS


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("store") / "runs.db", create=True)
    return read.run(store, write.create_run(store, name="a", source="train", config={}, status=Status.RUNNING))


@pytest.mark.parametrize(
    ("spent", "pace", "words"),
    [
        (1.3, Pace(record_every=20), "recording took 1.3 % of the time, every 20 steps"),
        (
            1.3,
            Pace(record_every=16, record_budget=0.02),
            "recording took 1.3 % of the time, every 16 steps for a budget of 2 %",
        ),
        (0.01, Pace(record_every=1), "recording took less than 0.1 % of the time, every step"),
        (40.0, Pace(), "recording took 40.0 % of the time"),
    ],
)
def test_the_cost_of_recording_in_words(run, spent, pace, words):
    assert recording.cost(run) is None
    assert recording.cost(replace(run, recorder_seconds=spent, watched_seconds=100.0, pace=pace)) == words


def test_what_was_lost_is_said_and_nothing_otherwise(run):
    assert recording.lost(run) is None
    assert recording.lost(replace(run, lost_rows=1)).startswith("1 row was lost, because")
    assert recording.lost(replace(run, lost_rows=20)).startswith("20 rows were lost, because")


def test_skipped_steps_are_counted_and_the_last_is_named():
    def steps(*rows):
        return pd.DataFrame([(1, *row, "gradient", 2.0) for row in rows], columns=SKIPPED_COLUMNS)

    assert recording.skipped(steps()) is None
    told = "gradient scaling skipped a step 2 times, last step 7, in layer fc3"
    assert recording.skipped(steps((0, 0, 1.0, "fc1"), (7, 0, 3.0, "fc3"))) == told
    unknown = "gradient scaling skipped a step once, last step 0"
    assert recording.skipped(steps((0, 0, None, None))) == unknown
