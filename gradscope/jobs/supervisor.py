"""The process that starts queued runs and tasks when there is room, and buries those that die.

One a store, apart from the dashboard, so that runs and queue outlive it; ends by itself when there is nothing to do.
Its own death loses nothing: the queue is in the store, and the next supervisor finds the living processes again.
"""

import logging
import os
import signal
import socket
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from gradscope.errors import RunNotFound, StoreError
from gradscope.jobs.lock import Lock
from gradscope.jobs.log import last_line
from gradscope.jobs.plan import Child, decide, noticed
from gradscope.jobs.queues import Command, Entry, Queue, RunQueue, TaskQueue, run_command
from gradscope.jobs.slots import Slot, find_slots
from gradscope.jobs.worker import Worker, child_variables
from gradscope.paths import is_url, supervisor_lock
from gradscope.records import Status
from gradscope.store import Store

POLL_SECONDS = 0.2
IDLE_SECONDS = 10.0
CARE_SECONDS = 5.0
"""How often it does what is not urgent: marks lost runs, speaks for starting ones."""

_log = logging.getLogger(__name__)


def supervise(store: Store, *, command: Command = run_command, idle_seconds: float = IDLE_SECONDS) -> None:
    """Serve the store's queues until they have been empty, with nothing at work, for idle_seconds.

    A task has a slot of its own: it takes minutes, and must not wait behind trainings that take hours.
    Returns at once where the store has a supervisor already.
    """
    lock = Lock(supervisor_lock(store.name))
    runs, tasks = RunQueue(store, command), TaskQueue(store)
    while lock.acquire():
        try:
            slots = find_slots()
            _serve(store, [Supervisor(runs, slots), Supervisor(tasks, slots[:1])], idle_seconds)
        finally:
            lock.release()
        # what was queued while the lock was still held found a supervisor and started none: look once more
        if _file_id(store) is None or not any(Status.QUEUED in q.unfinished().values() for q in (runs, tasks)):
            return


def _serve(store: Store, supervisors: "list[Supervisor]", idle_seconds: float) -> None:
    _log.info("supervisor %d serves %s, slots: %d", os.getpid(), store.shown, len(supervisors[0].slots))
    file = _file_id(store)
    for supervisor in supervisors:
        supervisor.adopt()
    busy_at = time.monotonic()
    while _file_id(store) == file:
        busy = [_is_busy(supervisor) for supervisor in supervisors]
        # however long a turn or the sleep before it took: only one that found nothing to do can be the last
        now = time.monotonic()
        if any(busy):
            busy_at = now
        elif now - busy_at >= idle_seconds:
            _log.info("nothing to do; supervisor %d ends", os.getpid())
            return
        time.sleep(POLL_SECONDS)
    _log.info("the store was deleted or replaced; its supervisor ends")


def _is_busy(supervisor: "Supervisor") -> bool:
    """One turn; a store that is locked, full or away for a while costs that turn, not the supervisor."""
    try:
        return supervisor.tick(time.monotonic())
    except (DBAPIError, StoreError) as error:
        _log.warning("the store does not answer (%s); trying again", getattr(error, "orig", error))
        time.sleep(1.0)
        return True


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
    """The living processes of a queue on this machine."""

    def __init__(self, queue: Queue, slots: list[Slot]) -> None:
        self.queue = queue
        self.slots = {slot.index: slot for slot in slots}
        self._host = socket.gethostname()
        self._workers: dict[int, Worker] = {}
        self._children: dict[int, Child] = {}
        self._cared_at = -CARE_SECONDS

    def adopt(self) -> None:
        """Take over the processes of an earlier supervisor; bury those that died with it."""
        for number, status in self.queue.unfinished().items():
            if not status.is_alive:
                continue
            worker = Worker.find(number, self.queue.paths(number))
            entry = self.queue.entry(number)
            if worker:
                self._keep(worker)
            elif entry.host == self._host:
                self._bury_or_requeue(number, entry)

    def _bury_or_requeue(self, number: int, entry: Entry) -> None:
        if entry.starting and not entry.stop_requested:
            # its supervisor died between claiming and starting it
            self.queue.finish(number, Status.LOST)
            self.queue.requeue(number)
        else:
            bury(self.queue, number, None)

    def tick(self, now: float) -> bool:
        """One turn. Returns whether there is anything to do or to wait for."""
        for number in [i for i, worker in self._workers.items() if worker.has_ended()]:
            self._bury(number)
        unfinished = self.queue.unfinished()
        self._children = {i: noticed(c, unfinished, now) for i, c in self._children.items()}
        plan = decide(unfinished, list(self._children.values()), list(self.slots), now)
        for number in plan.terminate:
            self._workers[number].terminate()
            self._children[number] = replace(self._children[number], terminated=True)
        for number in plan.kill:
            self._workers[number].kill()
        for slot in plan.fill:
            self._fill(self.slots[slot])
        self._care(now)
        return bool(self._workers) or Status.QUEUED in unfinished.values()

    def _fill(self, slot: Slot) -> None:
        number = self.queue.claim(self._host, os.getpid())
        if number is None:
            return
        self._see_off(number)
        paths = self.queue.paths(number)
        variables = {**child_variables(self.queue.store), **slot.environment(self.queue.entry(number).device)}
        try:
            worker = Worker.find(number, paths) or Worker.start(
                number, slot.index, self.queue.command(number), variables, paths
            )
        except OSError as error:
            cause = f"the {self.queue.noun}'s process could not be started: {error}"
            self.queue.finish(number, Status.FAILED, cause)
            return
        _log.info("%s %d starts in slot %d", self.queue.noun, number, worker.slot)
        self._keep(worker)

    def _see_off(self, number: int) -> None:
        """End what is left of the process of an earlier life of what is about to start again."""
        worker = self._workers.pop(number, None)
        self._children.pop(number, None)
        if worker:
            worker.kill()
            worker.wait(10)

    def _keep(self, worker: Worker) -> None:
        self._workers[worker.number] = worker
        self._children[worker.number] = Child(number=worker.number, slot=worker.slot)

    def _bury(self, number: int) -> None:
        worker = self._workers.pop(number)
        self._children.pop(number)
        _log.info("the process of %s %d ended, exit code %s", self.queue.noun, number, worker.exit_code)
        bury(self.queue, number, worker.exit_code)

    def _care(self, now: float) -> None:
        if now - self._cared_at < CARE_SECONDS:
            return
        self._cared_at = now
        for number in self._workers:
            self._speak_for(number)
        for number in self.queue.mark_lost():
            _log.info("%s %d is lost", self.queue.noun, number)

    def _speak_for(self, number: int) -> None:
        """Send the heartbeat of something whose process is still loading its libraries."""
        try:
            if self.queue.entry(number).starting:
                self.queue.beat(number)
        except RunNotFound:
            return  # deleted; the process will notice or be stopped


def bury(queue: Queue, number: int, exit_code: int | None) -> None:
    """Write down how a run or task ended whose process is gone, unless it did so itself.

    Args:
        queue: where it is.
        number: which.
        exit_code: of its process; negative for the signal that ended it, None if unknown.
    """
    try:
        status = queue.entry(number).status
    except RunNotFound:
        return
    if status is Status.STOPPING:
        queue.finish(number, Status.STOPPED, queue.when_forced if exit_code == -signal.SIGKILL else None)
    elif status is Status.RUNNING:
        cause = _cause(queue.noun, exit_code)
        last = last_line(queue.paths(number).log)
        queue.finish(number, Status.FAILED, f"{cause}; its log ends with: {last}" if last else cause)


def _cause(noun: str, exit_code: int | None) -> str:
    if exit_code is None:
        return f"the {noun}'s process ended without a word"
    if exit_code == -signal.SIGKILL:
        return (
            f"the {noun}'s process was killed (SIGKILL), as the system does when memory runs out; choose a smaller "
            "batch size, network or data set, or train fewer runs at once"
        )
    if exit_code < 0:
        return f"the {noun}'s process was ended by {signal.Signals(-exit_code).name}"
    return f"the {noun}'s process ended with exit code {exit_code} before the {noun} was complete"
