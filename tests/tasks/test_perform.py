"""The life of a task in its process, with performers made up on the spot."""

import os
import signal

import pytest

from gradscope.errors import ConfigError, DataError
from gradscope.records import Status
from gradscope.store import open_store, read_tasks, write, write_tasks
from gradscope.tasks.perform import perform
from gradscope.tasks.report import TaskProgress


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "runs.db", create=True)
    yield store
    store.close()


@pytest.fixture
def task_id(store):
    run_id = write.create_run(store, name="run", source="train", config={}, status=Status.COMPLETED)
    return write_tasks.create(store, run_id, "count", {"to": 3})


def count(store, task, report):
    for done in range(1, task.settings["to"] + 1):
        report(done, task.settings["to"], "counting")


def test_a_task_is_performed_and_every_part_reported(store, task_id):
    seen: list[TaskProgress] = []
    assert perform(store, task_id, on_progress=seen.append, performers={"count": count}) is Status.COMPLETED
    task = read_tasks.task(store, task_id)
    assert (task.status, task.done, task.total, task.error, task.pid) == (Status.COMPLETED, 3, 3, None, os.getpid())
    assert [(p.done, p.total, p.phase) for p in seen] == [(1, 3, "counting"), (2, 3, "counting"), (3, 3, "counting")]
    assert seen[0].seconds_left is None
    assert seen[2].seconds_left == 0.0


def test_a_failure_is_kept_in_one_sentence(store, task_id):
    def fails(store, task, report):
        raise DataError("the folder pictures/ does not exist; name another")

    with pytest.raises(DataError):
        perform(store, task_id, performers={"count": fails})
    task = read_tasks.task(store, task_id)
    assert (task.status, task.error) == (Status.FAILED, "the folder pictures/ does not exist; name another")


def test_a_kind_that_nobody_performs_is_refused(store, task_id):
    with pytest.raises(ConfigError, match="task kind 'count' is unknown; this GradScope performs other"):
        perform(store, task_id, performers={"other": count})


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_after_the_part_at_hand(store, task_id, sign):
    def interrupted(store, task, report):
        report(1, 3)
        os.kill(os.getpid(), sign)
        report(2, 3)
        raise AssertionError("went on")

    assert perform(store, task_id, performers={"count": interrupted}) is Status.STOPPED
    task = read_tasks.task(store, task_id)
    assert (task.status, task.done, task.error) == (Status.STOPPED, 2, None)


def test_a_wish_in_the_store_stops_it(store, task_id):
    def waits(store, task, report):
        write_tasks.request_stop(store, task.id)
        done = 0
        while True:
            report(done := done + 1, None)

    assert perform(store, task_id, performers={"count": waits}) is Status.STOPPED
    assert read_tasks.task(store, task_id).stop_requested is False
