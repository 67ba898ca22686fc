"""What a page or a command may do with runs."""

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from gradscope.errors import JobError
from gradscope.jobs import log
from gradscope.jobs.lock import is_held
from gradscope.jobs.queues import store_arguments
from gradscope.jobs.slots import wished_slots
from gradscope.jobs.worker import child_variables
from gradscope.paths import supervisor_lock, supervisor_log
from gradscope.records import LOST_AFTER_SECONDS, Status
from gradscope.store import Store, read, read_tasks, write, write_tasks

if TYPE_CHECKING:  # every page imports this file, and only few need the settings classes
    from gradscope.config import RunConfig
    from gradscope.records import Run

_STARTING_SECONDS = 5.0
"""A supervisor that we started so recently may not hold its lock yet."""


def create(store: Store, config: "RunConfig", name: str, *, status: Status, tags: Sequence[str] = ()) -> int:
    """Add a run that is to be trained, with an empty folder; returns its id. A student whose teacher is on the way
    waits for it in the queue.

    Raises:
        RunNotFound, JobError: the teacher that it names is not there, or will not be complete.
    """
    from gradscope.jobs.teaching import waits_for

    values = _from_anywhere(config).model_dump(mode="json")
    waits = waits_for(store, config)
    run_id = write.create_run(
        store, name=name, source="train", config=values, status=status, tags=tags, waits_for=waits
    )
    _set_aside(store.paths(run_id).folder)
    return run_id


def _from_anywhere(config: "RunConfig") -> "RunConfig":
    """The config with its data's path made absolute: the run's process may have another working folder."""
    path = getattr(config.data, "path", "")
    if not path:
        return config
    return config.model_copy(update={"data": config.data.model_copy(update={"path": str(Path(path).absolute())})})


def _set_aside(folder: Path) -> None:
    """Ids are never used twice: a folder that is there was left by a store since deleted, and not ours to resume."""
    if folder.exists():
        folder.rename(folder.with_name(f"{folder.name}.left-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"))


def submit(store: Store, config: "RunConfig", name: str, tags: Sequence[str] = ()) -> int:
    """Queue a run and see to it that somebody serves the queue; returns the run's id at once.

    A student without a teacher gets one: a run that was trained just so, or else one that is queued before it.

    Raises:
        StoreError: the store cannot be written.
        RunNotFound, JobError: no supervisor can be started here, `GRADSCOPE_SLOTS` is no number, or as `create`.
    """
    wished_slots()
    known = _with_teacher(store, config, name, tags)
    run_id = create(store, known, name, status=Status.QUEUED, tags=tags)
    ensure_supervisor(store)
    return run_id


def _with_teacher(store: Store, config: "RunConfig", name: str, tags: Sequence[str]) -> "RunConfig":
    """The config with a run as its teacher where it names none: one that is there already, else one queued now."""
    from gradscope.jobs.teaching import taught_by, teacher_config

    wanted, found = teacher_config(config), known_teacher(store, config)
    if wanted is None:
        return config
    if found is not None:
        return taught_by(config, found.id)
    return taught_by(config, create(store, wanted, f"{name}, teacher", status=Status.QUEUED, tags=tags))


def known_teacher(store: Store, config: "RunConfig") -> "Run | None":
    """Of a student whose teacher is trained first: the run that was, or is going to be, trained just as that one."""
    from gradscope.jobs.teaching import teacher_config, twin

    wanted = teacher_config(config)
    return None if wanted is None else twin(store, _from_anywhere(wanted))


def stop(store: Store, run_id: int) -> Status:
    """Ask a run to write a checkpoint and end; a queued one is stopped at once. Returns its status from now on.

    Raises:
        RunNotFound, JobError: there is no such run, or it has ended.
    """
    status = write.request_stop(store, run_id)
    if status is Status.STOPPING:
        ensure_supervisor(store)  # it ends the process if that does not hear
    return status


def resume(store: Store, run_id: int) -> None:
    """Queue an ended run again, to go on from its checkpoint, or from the start if it has none.

    Raises:
        RunNotFound, JobError: there is no such run, it has not ended, is complete, or was not started by GradScope.
    """
    run = read.run(store, run_id)
    if run.source != "train":
        raise JobError(f"run {run_id} was recorded in your own program; only that program can go on with it")
    if run.status is Status.COMPLETED:
        raise JobError(f"run {run_id} is completed; start a new one with more epochs instead")
    wished_slots()
    write.requeue(store, run_id)
    ensure_supervisor(store)


def delete(store: Store, run_id: int) -> None:
    """Remove a run: its records and its folder.

    Raises:
        RunNotFound, JobError: there is no such run, or it or a task on it is at work.
    """
    read.run(store, run_id)
    write.delete(store, run_id)
    folder = store.paths(run_id).folder
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        raise JobError(f"the records of run {run_id} are deleted, but {folder} could not be removed; remove it by hand")


def reap(store: Store) -> list[int]:
    """Mark what no longer says that it lives, and wake the queues if somebody waits; returns the lost runs.

    Cheap enough for every refresh of a page: writes only if there is something to write.
    """
    if store.read_only:
        return []
    unfinished, tasks = read.unfinished(store), read_tasks.unfinished(store)
    if Status.QUEUED in {*unfinished.values(), *tasks.values()}:
        ensure_supervisor(store)
    stale = datetime.now(UTC) - timedelta(seconds=LOST_AFTER_SECONDS)
    pulses = [read_tasks.task(store, task_id).heartbeat for task_id, status in tasks.items() if status.is_alive]
    if any(pulse is not None and pulse < stale for pulse in pulses):
        write_tasks.mark_lost(store)
    beats = [read.run(store, run_id).heartbeat for run_id, status in unfinished.items() if status.is_alive]
    return write.mark_lost(store) if any(beat is not None and beat < stale for beat in beats) else []


def log_tail(store: Store, run_id: int, lines: int = 50) -> str:
    """The last lines that the run's process printed; empty if it printed nothing or has no log."""
    return log.tail(store.paths(run_id).log, lines)


_started: dict[str, tuple[float, subprocess.Popen[bytes]]] = {}
"""The supervisor that this process started last, by store."""


def ensure_supervisor(store: Store) -> None:
    """See to it that a process serves the store's queue, apart from this one, which it outlives."""
    if is_held(supervisor_lock(store.name)) or _is_starting(store.name):
        return
    log_file = supervisor_log(store.name)
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "gradscope", "supervise", *store_arguments(store)],
            env=child_variables(store),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started[store.name] = time.monotonic(), process
    # it may end before we do: somebody has to take note, or it stays as a zombie
    threading.Thread(target=process.wait, name="gradscope-supervisor", daemon=True).start()


def _is_starting(name: str) -> bool:
    at, process = _started.get(name, (0.0, None))
    return process is not None and process.poll() is None and time.monotonic() - at < _STARTING_SECONDS
