"""The process that starts queued runs when there is room, and buries those that die.

One a store, apart from the dashboard, so that runs and queue outlive it; ends by itself when there is nothing to do.
Its own death loses nothing: the queue is in the store, and the next supervisor finds the living processes again.
"""

import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from gradscope.errors import RunNotFound, StoreError
from gradscope.jobs.lock import Lock
from gradscope.jobs.log import last_line
from gradscope.jobs.plan import KILL_SECONDS, Child, decide, noticed
from gradscope.jobs.slots import Slot, find_slots
from gradscope.jobs.worker import Command, Worker, child_variables, worker_command
from gradscope.paths import is_url, supervisor_lock
from gradscope.records import Batch, Run, Status
from gradscope.store import Store, read, write

POLL_SECONDS = 0.2
IDLE_SECONDS = 10.0
CARE_SECONDS = 5.0
"""How often it does what is not urgent: marks lost runs, speaks for starting ones."""

_log = logging.getLogger(__name__)


def supervise(store: Store, *, command: Command = worker_command, idle_seconds: float = IDLE_SECONDS) -> None:
    """Serve the store's queue until it has been empty, with no run at work, for idle_seconds.

    Returns at once where the store has a supervisor already.
    """
    lock = Lock(supervisor_lock(store.name))
    while lock.acquire():
        try:
            _serve(Supervisor(store, find_slots(), command), idle_seconds)
        finally:
            lock.release()
        # a run that was queued while the lock was still held found a supervisor and started none: look once more
        if _file_id(store) is None or Status.QUEUED not in read.unfinished(store).values():
            return


def _serve(supervisor: "Supervisor", idle_seconds: float) -> None:
    _log.info("supervisor %d serves %s, slots: %d", os.getpid(), supervisor.store.shown, len(supervisor.slots))
    file = _file_id(supervisor.store)
    supervisor.adopt()
    busy_at = time.monotonic()
    while time.monotonic() - busy_at < idle_seconds:
        if _file_id(supervisor.store) != file:
            _log.info("the store was deleted or replaced; its supervisor ends")
            return
        with _storms_weathered():
            if supervisor.tick(time.monotonic()):
                busy_at = time.monotonic()
        time.sleep(POLL_SECONDS)
    _log.info("nothing to do; supervisor %d ends", os.getpid())


@contextmanager
def _storms_weathered() -> Iterator[None]:
    """A store that is locked, full or away for a while costs a turn, not the supervisor."""
    try:
        yield
    except (DBAPIError, StoreError) as error:
        _log.warning("the store does not answer (%s); trying again", getattr(error, "orig", error))
        time.sleep(1.0)


def _file_id(store: Store) -> tuple[int, int] | None:
    """Tells the store's file from another of that name; None when it is gone."""
    if is_url(store.name):
        return (0, 0)
    try:
        found = Path(store.name).stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


class Supervisor:
    """The living processes of a store on this machine."""

    def __init__(self, store: Store, slots: list[Slot], command: Command) -> None:
        self.store = store
        self.slots = {slot.index: slot for slot in slots}
        self._command = command
        self._host = socket.gethostname()
        self._workers: dict[int, Worker] = {}
        self._children: dict[int, Child] = {}
        self._cared_at = -CARE_SECONDS

    def adopt(self) -> None:
        """Take over the processes of an earlier supervisor; bury those that died with it."""
        for run_id, status in read.unfinished(self.store).items():
            if not status.is_alive:
                continue
            worker = Worker.find(run_id, self.store.paths(run_id))
            if worker:
                self._keep(worker)
            elif self._is_ours(run := read.run(self.store, run_id)):
                self._bury_or_requeue(run)

    def _is_ours(self, run: Run) -> bool:
        """Whether a supervisor of this machine started it (and not a user's own program or another machine)."""
        return run.provenance.host == self._host and (
            run.progress.phase == "starting" or self.store.paths(run.id).worker.exists()
        )

    def _bury_or_requeue(self, run: Run) -> None:
        if run.progress.phase == "starting" and not run.stop_requested:
            # its supervisor died between claiming and starting it
            write.finish(self.store, run.id, Status.LOST)
            write.requeue(self.store, run.id)
        else:
            bury(self.store, run.id, None)

    def tick(self, now: float) -> bool:
        """One turn. Returns whether there is anything to do or to wait for."""
        for run_id in [i for i, worker in self._workers.items() if worker.has_ended()]:
            self._bury(run_id)
        unfinished = read.unfinished(self.store)
        self._children = {i: noticed(c, unfinished, now) for i, c in self._children.items()}
        plan = decide(unfinished, list(self._children.values()), list(self.slots), now)
        for run_id in plan.terminate:
            self._workers[run_id].terminate()
            self._children[run_id] = replace(self._children[run_id], terminated=True)
        for run_id in plan.kill:
            self._workers[run_id].kill()
        for slot in plan.fill:
            self._fill(self.slots[slot])
        self._care(now)
        return bool(self._workers) or Status.QUEUED in unfinished.values()

    def _fill(self, slot: Slot) -> None:
        run = write.claim(self.store, host=self._host, pid=os.getpid())
        if run is None:
            return
        self._see_off(run.id)
        paths = self.store.paths(run.id)
        variables = {**child_variables(self.store), **slot.environment(_device(run))}
        try:
            worker = Worker.find(run.id, paths) or Worker.start(
                run.id, slot.index, self._command(self.store, run.id), variables, paths
            )
        except OSError as error:
            write.finish(self.store, run.id, Status.FAILED, error=f"the run's process could not be started: {error}")
            return
        _log.info("run %d starts in slot %d", run.id, worker.slot)
        self._keep(worker)

    def _see_off(self, run_id: int) -> None:
        """End what is left of the process of an earlier life of a run that is about to start again."""
        worker = self._workers.pop(run_id, None)
        self._children.pop(run_id, None)
        if worker:
            worker.kill()
            worker.wait(10)

    def _keep(self, worker: Worker) -> None:
        self._workers[worker.run_id] = worker
        self._children[worker.run_id] = Child(run_id=worker.run_id, slot=worker.slot)

    def _bury(self, run_id: int) -> None:
        worker = self._workers.pop(run_id)
        self._children.pop(run_id)
        _log.info("run %d's process ended, exit code %s", run_id, worker.exit_code)
        bury(self.store, run_id, worker.exit_code)

    def _care(self, now: float) -> None:
        if now - self._cared_at < CARE_SECONDS:
            return
        self._cared_at = now
        for run_id in self._workers:
            self._speak_for(run_id)
        for run_id in write.mark_lost(self.store):
            _log.info("run %d is lost", run_id)

    def _speak_for(self, run_id: int) -> None:
        """Send the heartbeat of a run whose process is still loading its libraries."""
        try:
            if read.run(self.store, run_id).progress.phase == "starting":
                write.append(self.store, run_id, Batch())
        except RunNotFound:
            return  # deleted; the process will notice or be stopped


def _device(run: Run) -> str:
    train = run.config.get("train")
    return str(train.get("device", "auto")) if isinstance(train, dict) else "auto"


def bury(store: Store, run_id: int, exit_code: int | None) -> None:
    """Write down how a run ended whose process is gone, unless it did so itself.

    Args:
        store: where the run is.
        run_id: which.
        exit_code: of its process; negative for the signal that ended it, None if unknown.
    """
    try:
        status = read.run(store, run_id).status
    except RunNotFound:
        return
    if status is Status.STOPPING:
        forced = f"it did not stop within {KILL_SECONDS:.0f} s and was ended; its last checkpoint stands"
        write.finish(store, run_id, Status.STOPPED, error=forced if exit_code == -signal.SIGKILL else None)
    elif status is Status.RUNNING:
        cause = _cause(exit_code)
        last = last_line(store.paths(run_id).log)
        write.finish(store, run_id, Status.FAILED, error=f"{cause}; its log ends with: {last}" if last else cause)


def _cause(exit_code: int | None) -> str:
    if exit_code is None:
        return "the run's process ended without a word"
    if exit_code == -signal.SIGKILL:
        return (
            "the run's process was killed (SIGKILL), as the system does when memory runs out; choose a smaller "
            "batch size, network or data set, or train fewer runs at once"
        )
    if exit_code < 0:
        return f"the run's process was ended by {signal.Signals(-exit_code).name}"
    return f"the run's process ended with exit code {exit_code} before the run was complete"
