"""Tasks in their queue: asked for, handed to processes that pretend to compute, stopped, buried."""

import os
import signal
import sys
import textwrap
import time
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from sqlalchemy import text

from gradscope import jobs
from gradscope.config import RunConfig, TaskSettings
from gradscope.errors import JobError, RunNotFound, TaskNotFound
from gradscope.jobs.lock import Lock
from gradscope.jobs.queues import TaskQueue
from gradscope.jobs.slots import Slot
from gradscope.jobs.supervisor import Supervisor, supervise
from gradscope.paths import supervisor_lock
from gradscope.records import Status
from gradscope.store import read_tasks, write, write_tasks

BEGIN = """
    import os, sys, time
    from gradscope.records import Status
    from gradscope.store import open_store, write_tasks
    store, task = open_store(sys.argv[1]), int(sys.argv[2])
    write_tasks.start(store, task, host="here", pid=os.getpid())
    print("at work", flush=True)
"""
COMPLETES = BEGIN + "    write_tasks.report(store, task, 3, 3)\n    write_tasks.finish(store, task, Status.COMPLETED)"
SLEEPS = BEGIN + "    time.sleep(600)"


class Counting(TaskSettings):
    """Pretends to compute something."""

    name: Literal["counting"] = "counting"
    to: int = 3


def pretending(program):
    def command(store, number):
        return [sys.executable, "-c", textwrap.dedent(program), store.name, str(number)]

    return command


@pytest.fixture
def run_id(store):
    """A run with a checkpoint."""
    run_id = jobs.create(store, RunConfig(), "trained", status=Status.COMPLETED)
    store.paths(run_id).folder.mkdir(parents=True)
    store.paths(run_id).model.write_bytes(b"weights")
    return run_id


@pytest.fixture(autouse=True)
def lock(store):
    """Keeps the place of the store's supervisor taken: the test serves the queue itself."""
    lock = Lock(supervisor_lock(store.name))
    assert lock.acquire()
    yield lock
    lock.release()


@pytest.fixture
def supervisor_of(store):
    made = []

    def make(program):
        made.append(Supervisor(TaskQueue(store, pretending(program)), [Slot(index=0, gpu=None, threads=2)]))
        return made[-1]

    yield make
    for worker in [w for s in made for w in s._workers.values()]:
        worker.kill()
        worker.wait(60)


def turn_until(supervisor, reached, now=0.0):
    end = time.monotonic() + 60
    while not reached():
        supervisor.tick(now)
        assert time.monotonic() < end, "waited a minute in vain"
        time.sleep(0.02)


def is_at_work(store, task_id):
    return lambda: "at work" in jobs.task_log_tail(store, task_id)


def has_ended(store, task_id):
    return lambda: read_tasks.task(store, task_id).status.is_final


def test_tasks_are_performed_one_after_another_and_say_how_far_they_are(store, run_id, supervisor_of):
    first = jobs.submit_task(store, run_id, Counting(to=1))
    second = jobs.submit_task(store, run_id, Counting(to=2))
    waiting = read_tasks.task(store, first)
    assert (waiting.kind, waiting.status, waiting.total) == ("counting", Status.QUEUED, None)
    assert waiting.settings == {"name": "counting", "to": 1, "device": "auto"}
    turn_until(supervisor_of(COMPLETES), has_ended(store, second))
    done = read_tasks.tasks(store, [run_id], "counting")
    assert [(t.id, t.status, t.done, t.total) for t in done] == [
        (second, Status.COMPLETED, 3, 3),
        (first, Status.COMPLETED, 3, 3),
    ]
    assert done[1].ended <= done[0].started
    assert store.paths(run_id).task(first).log.read_text() == "at work\n"


def test_what_is_asked_for_twice_is_computed_once_as_long_as_it_is_not_done(store, run_id):
    first = jobs.submit_task(store, run_id, Counting(to=1))
    assert jobs.submit_task(store, run_id, Counting(to=1)) == first
    assert jobs.submit_task(store, run_id, Counting(to=2)) != first
    write_tasks.finish(store, first, Status.COMPLETED)
    assert jobs.submit_task(store, run_id, Counting(to=1)) != first


def test_a_run_without_a_checkpoint_takes_no_task(store, run_id):
    store.paths(run_id).model.unlink()
    with pytest.raises(JobError, match=rf"run {run_id} \(trained\) has no checkpoint to work on; train it"):
        jobs.submit_task(store, run_id, Counting())
    with pytest.raises(RunNotFound, match="run 99 is not in the store"):
        jobs.submit_task(store, 99, Counting())
    assert read_tasks.tasks(store) == []


def test_a_queued_task_is_stopped_at_once(store, run_id):
    task_id = jobs.submit_task(store, run_id, Counting())
    assert jobs.stop_task(store, task_id) is Status.STOPPED
    with pytest.raises(JobError, match=f"task {task_id} is stopped already"):
        jobs.stop_task(store, task_id)
    with pytest.raises(TaskNotFound, match="task 99 is not in the store"):
        jobs.stop_task(store, 99)


def test_a_task_that_does_not_hear_is_stopped_by_sigterm(store, run_id, supervisor_of):
    task_id = jobs.submit_task(store, run_id, Counting())
    supervisor = supervisor_of(SLEEPS)
    turn_until(supervisor, is_at_work(store, task_id))
    assert jobs.stop_task(store, task_id) is Status.STOPPING
    supervisor.tick(10.0)
    turn_until(supervisor, has_ended(store, task_id), now=13.0)
    task = read_tasks.task(store, task_id)
    assert (task.status, task.error) == (Status.STOPPED, None)


def test_a_task_whose_process_dies_says_why(store, run_id, supervisor_of):
    task_id = jobs.submit_task(store, run_id, Counting())
    supervisor = supervisor_of(SLEEPS)
    turn_until(supervisor, is_at_work(store, task_id))
    os.kill(read_tasks.task(store, task_id).pid, signal.SIGKILL)
    turn_until(supervisor, has_ended(store, task_id))
    task = read_tasks.task(store, task_id)
    assert task.status is Status.FAILED
    assert task.error.startswith("the task's process was killed (SIGKILL)")


def test_a_new_supervisor_takes_over_a_living_task(store, run_id, supervisor_of):
    task_id = jobs.submit_task(store, run_id, Counting())
    first = supervisor_of(SLEEPS)
    turn_until(first, is_at_work(store, task_id))
    successor = supervisor_of(SLEEPS)
    successor.adopt()
    assert successor._workers[task_id]._process.pid == first._workers[task_id]._process.pid


def test_a_run_with_a_task_at_work_is_not_deleted_and_takes_its_tasks_along(store, run_id):
    task_id = jobs.create_task(store, run_id, Counting(), status=Status.RUNNING)
    with pytest.raises(JobError, match=f"task {task_id} is at work on run {run_id}; stop it"):
        jobs.delete(store, run_id)
    write_tasks.finish(store, task_id, Status.STOPPED)
    jobs.delete(store, run_id)
    assert read_tasks.tasks(store) == []


def test_reaping_marks_silent_tasks_as_lost_and_one_that_speaks_again_comes_back(store, run_id):
    task_id = jobs.create_task(store, run_id, Counting(), status=Status.RUNNING)
    assert jobs.reap(store) == []
    assert read_tasks.task(store, task_id).status is Status.RUNNING
    long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=31)
    with store.writer.begin() as connection:
        connection.execute(text("UPDATE tasks SET heartbeat = :t"), {"t": str(long_ago)})
    jobs.reap(store)
    assert read_tasks.task(store, task_id).status is Status.LOST
    assert write_tasks.report(store, task_id, 1, 3).stop is False
    assert read_tasks.task(store, task_id).status is Status.RUNNING


def test_runs_and_tasks_are_served_side_by_side(store, run_id, lock, monkeypatch):
    lock.release()
    write.create_run(store, name="waits", source="train", config={}, status=Status.QUEUED)
    task_id = write_tasks.create(store, run_id, "counting", {})
    trains = COMPLETES.replace("write_tasks", "write").replace(
        'host="here", pid=os.getpid()', "provenance=Provenance()"
    )
    trains = trains.replace("import Status", "import Provenance, Status").replace(
        "    write.report(store, task, 3, 3)\n", ""
    )
    monkeypatch.setattr(TaskQueue.__init__, "__defaults__", (pretending(COMPLETES),))
    supervise(store, command=pretending(trains), idle_seconds=0.5)
    assert read_tasks.task(store, task_id).status is Status.COMPLETED
    assert read_tasks.unfinished(store) == {}
