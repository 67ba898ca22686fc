from pathlib import Path

import pytest
from reproductions import PN, Ended, Found

from gradscope.errors import JobError
from gradscope.jobs.lock import Lock
from gradscope.paths import supervisor_lock
from gradscope.records import Status
from gradscope.reproduce.group import find_group
from gradscope.reproduce.papers import chosen
from gradscope.reproduce.plan import plan
from gradscope.reproduce.scales import scale_of
from gradscope.reproduce.start import queue
from gradscope.store import Store, read, write


def test_everything_is_missing_at_first_and_seeds_come_before_experiments(found: Found) -> None:
    group = found("tanh", "pn-dual")
    assert [i.name for i in group.items] == ["tanh seed 0", "pn-dual seed 0", "tanh seed 1", "pn-dual seed 1"]
    assert group.counts() == {"missing": 4}
    assert group.to_do == list(group.items)
    assert find_group(None, PN, scale_of("tiny"), chosen(PN, ["tanh"]), [0]).counts() == {"missing": 1}


@pytest.mark.parametrize(
    ("status", "to_train"),
    [
        (Status.COMPLETED, False),
        (Status.DIVERGED, False),
        (Status.RUNNING, False),
        (Status.STOPPED, True),
        (Status.FAILED, True),
        (Status.LOST, True),
    ],
)
def test_what_ended_without_a_result_is_to_be_trained_on(
    found: Found, ended: Ended, status: Status, to_train: bool
) -> None:
    run = ended("model-2", status=status)
    (item,) = found("model-2", seeds=1).items
    assert item.run is not None
    assert item.run.id == run
    assert (item in found("model-2", seeds=1).to_do) is to_train


def test_a_run_with_other_settings_does_not_count(store: Store, found: Found, ended: Ended) -> None:
    run = ended("tanh")
    config = dict(read.run(store, run).config)
    config["optimizer"] = {**config["optimizer"], "lr": 0.1}
    other = write.create_run(
        store, name="x", source="train", config=config, status=Status.COMPLETED, tags=read.run(store, run).tags
    )
    write.delete(store, run)
    assert found("tanh", seeds=1).counts() == {"missing": 1}
    assert read.run(store, other).name == "x"


def test_a_run_counts_wherever_its_data_lay_and_on_whatever_device(store: Store, found: Found, tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    (item,) = found("tanh", seeds=1, scale="cpu", data_folder=str(tmp_path)).items
    values = item.config.model_dump(mode="json")
    values["train"]["device"] = "cuda"
    write.create_run(store, name="x", source="train", config=values, status=Status.COMPLETED, tags=item.tags)
    assert found("tanh", seeds=1, scale="cpu").counts() == {"completed": 1}
    assert found("tanh", seeds=1, scale="full").counts() == {"missing": 1}


def test_what_has_no_data_is_not_to_do_and_is_counted(store: Store, found: Found, tmp_path: Path) -> None:
    group = found("tanh", "rdrd-random", seeds=1, scale="cpu")
    assert [item.name for item in group.to_do] == ["tanh seed 0"]
    sentence = plan(group, [], in_background=False).sentence
    assert sentence.startswith("2 runs: 0 done, 0 under way, 1 to train, about ")
    assert sentence.endswith("; 1 need a data folder with rdrd")
    nothing = found("tanh", "rdrd-random", seeds=1, scale="cpu", data_folder=str(tmp_path))
    assert nothing.to_do == []
    assert plan(nothing, [], in_background=False).sentence == (
        "2 runs: 0 done, 0 under way, 0 to train; 2 need a data folder with cifar10 and rdrd"
    )


def test_a_completed_run_comes_before_a_newer_one_that_broke_off(found: Found, ended: Ended) -> None:
    first = ended("tanh")
    ended("tanh", status=Status.STOPPED)
    (item,) = found("tanh", seeds=1).items
    assert item.run is not None
    assert item.run.id == first


def test_missing_runs_are_queued_and_broken_ones_resumed(store: Store, found: Found, ended: Ended) -> None:
    broken = ended("tanh", status=Status.STOPPED)
    lock = Lock(supervisor_lock(store.name))
    assert lock.acquire()
    try:
        ids = queue(store, found("tanh", "pn-dual", seeds=1).to_do)
    finally:
        lock.release()
    assert ids[0] == broken
    assert [read.run(store, i).status for i in ids] == [Status.QUEUED, Status.QUEUED]
    assert read.run(store, ids[1]).tags == ("reproduce-pn", "tiny", "pn-dual")
    assert found("tanh", "pn-dual", seeds=1).to_do == []


def test_an_ended_run_is_taken_and_one_at_work_is_not(store: Store, ended: Ended) -> None:
    run = ended("tanh", status=Status.FAILED)
    write.take(store, run, host="here", pid=7)
    taken = read.run(store, run)
    assert (taken.status, taken.provenance.pid, taken.ended, taken.error) == (Status.RUNNING, 7, None, None)
    with pytest.raises(JobError, match="only a run that ended can be resumed"):
        write.take(store, run, host="here", pid=8)
