"""How a task tells that it lives and how far it is, and how it hears that nobody wants it any more."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from gradscope.errors import StoreError
from gradscope.records import HEARTBEAT_SECONDS
from gradscope.store import Store, write_tasks

_log = logging.getLogger("gradscope")


class Stopped(Exception):
    """Nobody wants the rest of the task; not an error."""


@dataclass(frozen=True, kw_only=True)
class TaskProgress:
    """How far a task is."""

    done: int = 0
    total: int | None = None
    """None as long as nobody knows."""
    phase: str = "loading"
    seconds_left: float | None = None
    """None before the first part is done."""


OnProgress = Callable[[TaskProgress], None]


class Report:
    """Called by whoever performs a task after each part of it; a thread carries it to the store once a second."""

    def __init__(self, store: Store, task_id: int, on_progress: OnProgress) -> None:
        self._store, self._task_id, self._on_progress = store, task_id, on_progress
        self._latest = TaskProgress()
        self._began: tuple[float, int] | None = None
        self._unwanted, self._closing = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._speak, name="gradscope-task", daemon=True)
        self._thread.start()

    def __call__(self, done: int, total: int | None, phase: str = "evaluating") -> None:
        """So many parts of so many are done; the first call, with what was done before, starts the clock.

        Raises:
            Stopped: somebody asked the task to stop, or deleted it.
        """
        self._latest = TaskProgress(done=done, total=total, phase=phase, seconds_left=self._left(done, total))
        self._on_progress(self._latest)
        if self._unwanted.is_set():
            raise Stopped

    def request_stop(self) -> None:
        """Let the next call raise Stopped."""
        self._unwanted.set()

    def _left(self, done: int, total: int | None) -> float | None:
        if total is None:
            return None
        began, before = self._began = self._began or (time.monotonic(), done)
        return None if done <= before else (time.monotonic() - began) / (done - before) * (total - done)

    def _speak(self) -> None:
        while not self._closing.wait(HEARTBEAT_SECONDS):
            self._send()

    def _send(self) -> None:
        now = self._latest
        try:
            wishes = write_tasks.report(self._store, self._task_id, now.done, now.total, now.phase)
        except (StoreError, SQLAlchemyError) as error:  # the work goes on; the next beat may get through
            _log.warning("task %d could not say how far it is (%s); trying again", self._task_id, error)
        else:
            if wishes.stop:
                self._unwanted.set()

    def close(self) -> None:
        """Say the last word, then be silent."""
        self._closing.set()
        self._thread.join()
        self._send()


@contextmanager
def reporting(store: Store, task_id: int, on_progress: OnProgress) -> Iterator[Report]:
    """A Report for the time of a task."""
    report = Report(store, task_id, on_progress)
    try:
        yield report
    finally:
        report.close()
