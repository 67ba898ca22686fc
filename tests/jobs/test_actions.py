"""Submitting, stopping, resuming and deleting; with the real supervisor and real small trainings."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
from sqlalchemy import text

from gradscope import jobs
from gradscope.config import Digits, Mlp, Parquet, RunConfig, Train
from gradscope.errors import JobError, RunNotFound
from gradscope.jobs.lock import Lock, is_held
from gradscope.paths import supervisor_lock, supervisor_log
from gradscope.records import Status
from gradscope.store import open_store, read, write

SMALL = RunConfig(data=Digits(limit=100), model=Mlp(depth=2, width=8), train=Train(epochs=2, device="cpu"))
LONG = SMALL.model_copy(update={"train": Train(epochs=10_000, device="cpu")})


@pytest.fixture
def no_supervisor(store):
    """Keeps the place of the supervisor taken, so that queued runs stay queued."""
    lock = Lock(supervisor_lock(store.name))
    assert lock.acquire()
    yield
    lock.release()


@pytest.fixture
def supervised(store):
    """Ends what the test started."""
    yield
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "gradscope" in words and store.name in words:
            process.kill()


def wait_for(reached, store):
    end = time.monotonic() + 120
    while not reached():
        assert time.monotonic() < end, supervisor_log(store.name).read_text()
        time.sleep(0.05)


def has_ended(store, run_id):
    return lambda: read.run(store, run_id).status.is_final


def test_a_run_outlives_the_program_that_submitted_it_from_another_folder(store, supervised, tmp_path):
    program = (
        "from gradscope import jobs; from gradscope.config import RunConfig; from gradscope.store import open_store\n"
        "import sys, time\n"
        f"config = RunConfig.model_validate_json({SMALL.model_dump_json()!r})\n"
        "print(jobs.submit(open_store('runs.db'), config, 'detached'), flush=True); time.sleep(600)"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        process_group=0,
        text=True,
    )
    run_id = int(starter.stdout.readline())
    os.killpg(starter.pid, signal.SIGINT)  # what Ctrl-C in its terminal does
    starter.communicate()
    wait_for(has_ended(store, run_id), store)
    run = read.run(store, run_id)
    assert (run.status, run.error, run.name) == (Status.COMPLETED, None, "detached")
    assert run.results.test_accuracy is not None
    # the store knows a moment before the log does
    wait_for(lambda: f"run {run_id} (detached) completed" in jobs.log_tail(store, run_id), store)
    assert is_held(supervisor_lock(store.name))


def test_a_run_is_stopped_and_resumed_from_where_it_was(store, supervised):
    run_id = jobs.submit(store, LONG, "long")
    wait_for(lambda: read.run(store, run_id).progress.last_step > 10, store)
    assert jobs.stop(store, run_id) is Status.STOPPING
    wait_for(has_ended(store, run_id), store)
    stopped = read.run(store, run_id)
    assert (stopped.status, stopped.error) == (Status.STOPPED, None)
    jobs.resume(store, run_id)
    wait_for(lambda: read.run(store, run_id).progress.last_step > stopped.progress.last_step, store)
    jobs.stop(store, run_id)
    wait_for(has_ended(store, run_id), store)
    steps = read.metrics(store, [run_id], ["train_loss"], max_points=10**9)["step"]
    assert steps.is_unique
    jobs.delete(store, run_id)
    assert read.runs(store) == []
    assert not store.paths(run_id).folder.exists()


def test_a_run_that_cannot_be_trained_says_why_in_one_sentence(store, supervised):
    run_id = jobs.submit(store, SMALL.model_copy(update={"data": Parquet(path="/no/such/folder")}), "bad")
    wait_for(has_ended(store, run_id), store)
    run = read.run(store, run_id)
    assert run.status is Status.FAILED
    assert "/no/such/folder" in run.error
    assert "Traceback" not in run.error
    assert "ended with exit code" not in run.error


def test_a_queued_run_is_stopped_at_once_and_may_be_resumed(store, no_supervisor):
    run_id = jobs.submit(store, SMALL, "waits", tags=["a", "b"])
    assert read.run(store, run_id).tags == ("a", "b")
    assert jobs.stop(store, run_id) is Status.STOPPED
    jobs.resume(store, run_id)
    assert read.run(store, run_id).status is Status.QUEUED


def test_what_cannot_be_done_is_said(store, no_supervisor):
    run_id = jobs.create(store, SMALL, "r", status=Status.RUNNING)
    with pytest.raises(JobError, match=f"run {run_id} is running; only a run that ended can be resumed"):
        jobs.resume(store, run_id)
    with pytest.raises(JobError, match=f"run {run_id} is running; stop it before you delete it"):
        jobs.delete(store, run_id)
    write.finish(store, run_id, Status.COMPLETED)
    with pytest.raises(JobError, match=f"run {run_id} is completed; start a new one with more epochs"):
        jobs.resume(store, run_id)
    with pytest.raises(JobError, match=f"run {run_id} is completed already; there is nothing to stop"):
        jobs.stop(store, run_id)
    mine = write.create_run(store, name="mine", source="attached", config={}, status=Status.STOPPED)
    with pytest.raises(JobError, match="only that program can go on with it"):
        jobs.resume(store, mine)
    for act in (jobs.stop, jobs.resume, jobs.delete):
        with pytest.raises(RunNotFound, match="run 99 is not in the store"):
            act(store, 99)


def test_deleting_a_run_removes_its_folder_and_no_other(store, no_supervisor):
    kept, gone = (jobs.create(store, SMALL, "r", status=Status.COMPLETED) for _ in range(2))
    for run_id in (kept, gone):
        store.paths(run_id).folder.mkdir(parents=True)
        store.paths(run_id).log.write_text("text")
    jobs.delete(store, gone)
    assert [r.id for r in read.runs(store)] == [kept]
    assert store.paths(kept).log.exists()
    assert not store.paths(gone).folder.exists()


def test_a_folder_that_an_earlier_store_left_is_set_aside_and_not_resumed_from(store):
    old = store.paths(1).folder
    old.mkdir(parents=True)
    (old / "resume.pt").write_text("of another training")
    assert jobs.create(store, SMALL, "new", status=Status.RUNNING) == 1
    assert not store.paths(1).folder.exists()
    (aside,) = old.parent.glob("1.left-*")
    assert (aside / "resume.pt").read_text() == "of another training"


def test_two_stores_in_one_folder_keep_their_runs_apart(tmp_path):
    a, b = (open_store(tmp_path / name, create=True) for name in ("runs.db", "other.db"))
    assert a.paths(1).folder == tmp_path / "runs" / "1"
    assert b.paths(1).folder == tmp_path / "other.db.runs" / "1"


def test_the_path_of_the_data_is_stored_so_that_it_holds_in_every_folder(store, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_id = jobs.create(store, RunConfig(data=Parquet(path="../pictures")), "r", status=Status.RUNNING)
    assert Path(read.run(store, run_id).config["data"]["path"]) == tmp_path / "../pictures"


def test_reaping_marks_the_silent_as_lost_and_nobody_else(store, no_supervisor):
    silent, alive = (jobs.create(store, SMALL, "r", status=Status.RUNNING) for _ in range(2))
    waiting = jobs.create(store, SMALL, "r", status=Status.QUEUED)
    assert jobs.reap(store) == []
    long_ago = datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=31)
    with store.writer.begin() as connection:
        connection.execute(text("UPDATE runs SET heartbeat = :t WHERE id = :i"), {"t": str(long_ago), "i": silent})
    assert jobs.reap(store) == [silent]
    assert read.run(store, silent).status is Status.LOST
    assert read.unfinished(store) == {alive: Status.RUNNING, waiting: Status.QUEUED}


def test_a_bad_number_of_slots_is_refused_before_anything_is_queued(store, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_SLOTS", "many")
    with pytest.raises(JobError, match="GRADSCOPE_SLOTS is 'many'"):
        jobs.submit(store, SMALL, "r")
    assert read.runs(store) == []


def test_the_log_is_read_from_its_end(store):
    assert jobs.log_tail(store, 1) == ""
    log = store.paths(1).log
    log.parent.mkdir(parents=True)
    log.write_bytes(b"".join(b"line %d\n" % i for i in range(20_000)) + b"  1%\r 50%\r100%\nnot \xff text\n")
    assert jobs.log_tail(store, 1, 3) == "line 19999\n100%\nnot \ufffd text"
    assert len(jobs.log_tail(store, 1, 10**6)) <= 65_536
