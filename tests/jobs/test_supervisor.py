"""The supervisor with real processes that pretend to train; turns and clock are the test's."""

import os
import signal
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime

import psutil
import pytest

from gradscope.config import RunConfig
from gradscope.jobs import actions
from gradscope.jobs.lock import Lock, is_held
from gradscope.jobs.queues import RunQueue
from gradscope.jobs.slots import Slot
from gradscope.jobs.supervisor import POLL_SECONDS, Supervisor, supervise
from gradscope.paths import supervisor_lock
from gradscope.records import Provenance, Status
from gradscope.store import read, write

BEGIN = """
    import os, signal, sys, time
    from gradscope.records import Batch, Progress, Provenance, Status
    from gradscope.store import open_store, write
    store, run = open_store(sys.argv[1]), int(sys.argv[2])
    write.start(store, run, provenance=Provenance(pid=os.getpid()))
    write.append(store, run, Batch(progress=Progress(last_step=0, phase="training")))
    print("at work", flush=True)
"""
COMPLETES = BEGIN + "    write.finish(store, run, Status.COMPLETED)"
OBEYS = (
    BEGIN
    + """
    while not write.append(store, run, Batch()).stop:
        time.sleep(0.05)
    write.finish(store, run, Status.STOPPED)
"""
)
SLEEPS = BEGIN + "    time.sleep(600)"
DEAF = (
    BEGIN.replace("    print(", "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    print(") + "    time.sleep(600)"
)
FAILS = BEGIN + "    sys.exit('the disk is on fire')"
STARTS_FOR_EVER = "    import time\n    time.sleep(600)"


def pretending(program):
    def command(store, run_id):
        return [sys.executable, "-c", textwrap.dedent(program), store.name, str(run_id)]

    return command


@pytest.fixture
def supervisor_of(store):
    """Makes supervisors of the store, and sees to it that no process of theirs is left."""
    made = []

    def make(program, slots=1):
        command = program if callable(program) else pretending(program)
        made.append(Supervisor(RunQueue(store, command), [Slot(index=i, gpu=None, threads=2) for i in range(slots)]))
        return made[-1]

    yield make
    for worker in [w for s in made for w in s._workers.values()]:
        worker.kill()
        worker.wait(60)


def queued(store, name="run"):
    return actions.create(store, RunConfig(), name, status=Status.QUEUED)


def turn_until(supervisor, reached, now=0.0):
    wait_until(reached, lambda: supervisor.tick(now))


def wait_until(reached, turn=lambda: None):
    end = time.monotonic() + 60
    while not reached():
        turn()
        assert time.monotonic() < end, "waited a minute in vain"
        time.sleep(0.02)


def is_at_work(store, run_id):
    return lambda: "at work" in actions.log_tail(store, run_id)


def has_ended(store, run_id):
    return lambda: read.run(store, run_id).status.is_final


def error_of(store, run_id):
    return read.run(store, run_id).error


def test_runs_are_trained_in_the_order_of_the_queue(store, supervisor_of):
    first, second = queued(store), queued(store)
    supervisor = supervisor_of(COMPLETES)
    turn_until(supervisor, is_at_work(store, first))
    assert read.run(store, second).status is Status.QUEUED
    turn_until(supervisor, has_ended(store, second))
    assert read.run(store, first).ended <= read.run(store, second).started
    assert [read.run(store, r).status for r in (first, second)] == [Status.COMPLETED] * 2


def test_two_slots_train_two_runs_at_once(store, supervisor_of):
    first, second, third = queued(store), queued(store), queued(store)
    supervisor = supervisor_of(OBEYS, slots=2)
    turn_until(supervisor, lambda: is_at_work(store, first)() and is_at_work(store, second)())
    assert read.unfinished(store) == {first: Status.RUNNING, second: Status.RUNNING, third: Status.QUEUED}


def test_a_claimed_run_is_running_before_its_process_says_a_word(store, supervisor_of):
    run_id = queued(store)
    supervisor_of(STARTS_FOR_EVER).tick(0.0)
    run = read.run(store, run_id)
    assert (run.status, run.progress.phase) == (Status.RUNNING, "starting")


def test_the_supervisor_speaks_for_a_run_that_still_starts(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(STARTS_FOR_EVER)
    supervisor.tick(0.0)
    claimed = read.run(store, run_id).heartbeat
    supervisor.tick(1.0)
    assert read.run(store, run_id).heartbeat == claimed
    supervisor.tick(6.0)
    assert read.run(store, run_id).heartbeat > claimed


def test_a_run_that_hears_of_stop_ends_by_itself(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(OBEYS)
    turn_until(supervisor, is_at_work(store, run_id))
    write.request_stop(store, run_id)
    turn_until(supervisor, has_ended(store, run_id))
    assert read.run(store, run_id).status is Status.STOPPED
    assert error_of(store, run_id) is None


def test_one_that_does_not_hear_is_stopped_by_sigterm(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(SLEEPS)
    turn_until(supervisor, is_at_work(store, run_id))
    write.request_stop(store, run_id)
    supervisor.tick(10.0)
    turn_until(supervisor, has_ended(store, run_id), now=13.0)
    assert read.run(store, run_id).status is Status.STOPPED
    assert error_of(store, run_id) is None


def test_one_that_does_not_hear_that_either_is_killed_after_a_minute(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(DEAF)
    turn_until(supervisor, is_at_work(store, run_id))
    write.request_stop(store, run_id)
    supervisor.tick(10.0)
    supervisor.tick(13.0)
    supervisor.tick(69.0)
    assert read.run(store, run_id).status is Status.STOPPING
    turn_until(supervisor, has_ended(store, run_id), now=70.0)
    assert read.run(store, run_id).status is Status.STOPPED
    assert error_of(store, run_id) == "it did not stop within 60 s and was ended; its last checkpoint stands"


def test_a_process_that_fails_leaves_its_exit_code_and_its_last_line(store, supervisor_of):
    run_id = queued(store)
    turn_until(supervisor_of(FAILS), has_ended(store, run_id))
    assert read.run(store, run_id).status is Status.FAILED
    assert error_of(store, run_id) == (
        "the run's process ended with exit code 1 before the run was complete; its log ends with: the disk is on fire"
    )


def test_a_process_that_is_killed_is_said_to_have_run_out_of_memory_most_likely(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(SLEEPS)
    turn_until(supervisor, is_at_work(store, run_id))
    os.kill(read.run(store, run_id).provenance.pid, signal.SIGKILL)
    turn_until(supervisor, has_ended(store, run_id))
    assert error_of(store, run_id).startswith(
        "the run's process was killed (SIGKILL), as the system does when memory runs out; choose a smaller batch size"
    )


def test_a_process_that_crashes_leaves_the_name_of_its_signal(store, supervisor_of):
    run_id = queued(store)
    turn_until(supervisor_of(BEGIN + "    os.abort()"), has_ended(store, run_id))
    assert error_of(store, run_id) == "the run's process was ended by SIGABRT; its log ends with: at work"


def test_a_command_that_is_not_there_fails_the_run_and_not_the_supervisor(store, supervisor_of):
    run_id = queued(store)
    supervisor_of(lambda store, run_id: ["/no/such/python"]).tick(0.0)
    assert read.run(store, run_id).status is Status.FAILED
    assert "could not be started" in error_of(store, run_id)


def test_no_zombie_is_left(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(COMPLETES)
    turn_until(supervisor, lambda: has_ended(store, run_id)() and not supervisor._workers)
    zombies = [p for p in psutil.Process().children() if p.status() == psutil.STATUS_ZOMBIE]
    assert zombies == []


def test_a_run_whose_rows_were_deleted_is_ended(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(STARTS_FOR_EVER)
    supervisor.tick(0.0)
    write.finish(store, run_id, Status.LOST)
    write.delete(store, run_id)
    supervisor.tick(10.0)
    turn_until(supervisor, lambda: not supervisor._workers, now=13.0)


def test_a_new_supervisor_takes_over_the_living_and_the_slots_they_hold(store, supervisor_of):
    first, second = queued(store), queued(store)
    turn_until(supervisor_of(OBEYS), is_at_work(store, first))
    successor = supervisor_of(OBEYS)
    successor.adopt()
    successor.tick(0.0)
    assert read.unfinished(store) == {first: Status.RUNNING, second: Status.QUEUED}
    write.request_stop(store, first)
    turn_until(successor, is_at_work(store, second))
    assert read.run(store, first).status is Status.STOPPED


def test_an_adopted_process_that_dies_is_buried_too(store, supervisor_of):
    run_id = queued(store)
    turn_until(supervisor_of(SLEEPS), is_at_work(store, run_id))
    successor = supervisor_of(SLEEPS)
    successor.adopt()
    os.kill(read.run(store, run_id).provenance.pid, signal.SIGKILL)
    turn_until(successor, has_ended(store, run_id))
    assert error_of(store, run_id) == "the run's process ended without a word; its log ends with: at work"


def test_a_process_that_died_with_its_supervisor_is_buried_at_once(store, supervisor_of):
    run_id = queued(store)
    turn_until(supervisor_of(SLEEPS), is_at_work(store, run_id))
    os.kill(read.run(store, run_id).provenance.pid, signal.SIGKILL)
    os.waitid(os.P_PID, read.run(store, run_id).provenance.pid, os.WEXITED | os.WNOWAIT)  # and leave it as it is
    successor = supervisor_of(SLEEPS)
    successor.adopt()
    assert read.run(store, run_id).status is Status.FAILED


def test_a_run_claimed_by_a_supervisor_that_died_before_starting_it_waits_again(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(COMPLETES)
    write.claim(store, host=supervisor._host, pid=1)
    supervisor.adopt()
    assert read.run(store, run_id).status is Status.QUEUED
    turn_until(supervisor, has_ended(store, run_id))
    assert read.run(store, run_id).status is Status.COMPLETED


def test_runs_of_other_programs_and_machines_are_left_alone(store, supervisor_of):
    attached = write.create_run(store, name="mine", source="attached", config={}, status=Status.RUNNING)
    elsewhere = queued(store)
    write.claim(store, host="another machine", pid=1)
    supervisor_of(COMPLETES).adopt()
    assert read.unfinished(store) == {attached: Status.RUNNING, elsewhere: Status.RUNNING}


def test_a_run_that_was_taken_for_lost_and_is_resumed_keeps_its_living_process(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(OBEYS)
    turn_until(supervisor, is_at_work(store, run_id))
    successor = supervisor_of(OBEYS)  # knows nothing of the process yet
    write.finish(store, run_id, Status.LOST)
    write.requeue(store, run_id)
    successor.tick(0.0)
    assert successor._workers[run_id]._process.pid == supervisor._workers[run_id]._process.pid


def test_what_is_left_of_an_earlier_life_is_ended_before_the_next(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(SLEEPS, slots=2)
    turn_until(supervisor, is_at_work(store, run_id))
    old = supervisor._workers[run_id]._process
    write.finish(store, run_id, Status.STOPPED)
    write.requeue(store, run_id)
    supervisor.tick(1.0)
    assert not old.is_running()
    assert supervisor._workers[run_id]._process.pid != old.pid
    assert read.run(store, run_id).status is Status.RUNNING


def test_the_log_of_a_resumed_run_goes_on_after_a_line(store, supervisor_of):
    run_id = queued(store)
    supervisor = supervisor_of(COMPLETES)
    turn_until(supervisor, has_ended(store, run_id))
    write.requeue(store, run_id)
    turn_until(supervisor, has_ended(store, run_id))
    first, empty, line, second = actions.log_tail(store, run_id).split("\n")
    assert (first, empty, second) == ("at work", "", "at work")
    assert line.startswith(f"---- resumed {datetime.now(UTC):%Y-}")
    assert line.endswith(" UTC ----")


def test_a_process_gets_its_share_of_the_cores_and_its_store(store, supervisor_of, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run_id = queued(store)
    shows = COMPLETES + "\n    print('threads', os.environ['OMP_NUM_THREADS'], 'session', os.getsid(0) == os.getpid())"
    supervisor = supervisor_of(shows)
    turn_until(supervisor, lambda: not supervisor._workers and has_ended(store, run_id)())
    assert actions.log_tail(store, run_id, 1) == "threads 2 session True"


def test_only_one_supervisor_serves_a_store(store):
    lock = Lock(supervisor_lock(store.name))
    assert lock.acquire()
    queued(store)
    supervise(store, command=pretending(COMPLETES), idle_seconds=600)  # would not return if it served
    assert list(read.unfinished(store).values()) == [Status.QUEUED]
    lock.release()


def test_a_supervisor_serves_until_queue_and_slots_are_empty_and_lets_the_lock_go(store):
    run_ids = [queued(store), queued(store)]
    supervise(store, command=pretending(COMPLETES), idle_seconds=0.5)
    assert [read.run(store, r).status for r in run_ids] == [Status.COMPLETED] * 2
    assert not is_held(supervisor_lock(store.name))


def test_a_turn_that_found_work_is_never_idle_however_long_it_took(store):
    run_id = queued(store)
    supervise(store, command=pretending(COMPLETES), idle_seconds=POLL_SECONDS / 2)  # every turn takes longer
    assert read.run(store, run_id).status is Status.COMPLETED


def test_a_supervisor_outlives_a_time_in_which_the_store_does_not_answer(store, caplog):
    run_id = queued(store)
    how = {"command": pretending(SLEEPS), "idle_seconds": POLL_SECONDS / 2}
    supervisor = threading.Thread(target=supervise, args=(store,), kwargs=how, daemon=True)
    supervisor.start()
    wait_until(is_at_work(store, run_id))
    rename(store, "runs", "away")
    wait_until(lambda: "the store does not answer" in caplog.text)
    rename(store, "away", "runs")
    os.kill(read.run(store, run_id).provenance.pid, signal.SIGKILL)
    supervisor.join()
    assert read.run(store, run_id).status is Status.FAILED


def rename(store, old, new):
    """Of a table: who asks for it by its old name gets an error."""
    with store.writer.begin() as connection:
        connection.exec_driver_sql(f"ALTER TABLE {old} RENAME TO {new}")


def test_a_supervisor_ends_when_its_store_is_deleted(store, tmp_path):
    queued(store)

    def deletes(store, run_id):
        (tmp_path / "runs.db").unlink()
        return [sys.executable, "-c", ""]

    supervise(store, command=deletes, idle_seconds=600)
    assert not (tmp_path / "runs.db").exists()


def test_the_provenance_of_the_process_wins_over_that_of_the_claim(store, supervisor_of):
    run_id = queued(store)
    turn_until(supervisor_of(SLEEPS), is_at_work(store, run_id))
    assert read.run(store, run_id).provenance != Provenance()
    assert read.run(store, run_id).provenance.pid != os.getpid()
