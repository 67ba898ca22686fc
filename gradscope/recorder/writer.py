"""The thread that writes: the training hands it records and goes on, whatever becomes of the store."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from gradscope.errors import StoreError
from gradscope.records import HEARTBEAT_SECONDS, Batch, Pace, Progress
from gradscope.store import Store, write

ROWS_PER_TRANSACTION = 500
SECONDS_PER_TRANSACTION = 0.5
ROWS_KEPT = 20_000
"""While the store cannot be written, so many rows wait for it (some 20 MB); more are lost, and counted."""
PATIENCE_SECONDS = 15.0
"""How long the end of a run waits for the last rows to be written."""

_log = logging.getLogger("gradscope")
_TROUBLE = (StoreError, SQLAlchemyError, OSError)


class Item(Protocol):
    """Something to be written; its numbers may still have to be fetched from a device."""

    @property
    def n_rows(self) -> int:
        """Rows it takes in the store."""

    def resolve(self) -> Batch | Callable[[], None]:
        """The rows, or an errand of its own that is run between two transactions."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """What recording cost the training so far."""

    recorder_seconds: float = 0.0
    watched_seconds: float = 0.0
    pace: Pace | None = None


@dataclass(frozen=True)
class Errand:
    """A call to the store that is not a row, in its place among the rows."""

    call: Callable[[], None]
    n_rows: int = 0

    def resolve(self) -> Callable[[], None]:
        """Itself."""
        return self.call


class Writer:
    """One daemon thread for one run. `put` never waits and never raises."""

    def __init__(
        self, store: Store, run_id: int, progress: Callable[[], Progress], account: Callable[[], Account]
    ) -> None:
        self.stop_requested = False
        """Somebody asked the run to stop, or deleted it."""
        self.lost_rows = 0
        """Rows that were dropped because the store could not take them in time."""
        self._store, self._run_id = store, run_id
        self._progress, self._account = progress, account
        self._items: deque[Item] = deque()
        self._ready: deque[Batch | Callable[[], None]] = deque()
        self._waiting = 0
        self._reported_lost, self._reported = 0, Account()
        self._last_written = 0.0
        self._deleted = self._warned = self._closing = self._hurry = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="gradscope-writer", daemon=True)
        self._thread.start()

    def put(self, item: Item) -> None:
        """Hand something over to be written; if too much is waiting it is lost, and counted."""
        with self._changed:
            if self._deleted or self._closing or self._waiting + item.n_rows > ROWS_KEPT:
                self.lost_rows += item.n_rows
                return
            self._items.append(item)
            self._waiting += item.n_rows
            if self._waiting >= ROWS_PER_TRANSACTION:
                self._changed.notify()

    def flush(self, seconds: float) -> bool:
        """Wait until what was handed over so far is in the store, at most so long; whether it is."""
        if self._deleted or self._closing:
            return False
        written = threading.Event()
        self.put(Errand(written.set))
        with self._changed:
            self._hurry = True
            self._changed.notify()
        return written.wait(seconds)

    def close(self) -> None:
        """Write what is waiting, then end the thread; what cannot be written in PATIENCE_SECONDS is lost."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(PATIENCE_SECONDS)
        with self._changed:
            self.lost_rows += self._waiting
            self._waiting = 0

    def _work(self) -> None:
        enough = ROWS_PER_TRANSACTION
        while not self._closing:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._closing or self._hurry or self._waiting >= enough, SECONDS_PER_TRANSACTION
                )
                self._hurry = False
            self._resolve()
            if not self._write_all():
                with self._changed:
                    self._changed.wait_for(lambda: self._closing, HEARTBEAT_SECONDS)
        self._resolve()
        self._write_all()

    def _resolve(self) -> None:
        while self._items:
            item = self._items.popleft()
            try:
                ready = item.resolve()
                self._ready.append(ready)
                if isinstance(ready, Batch):
                    self._correct(ready.n_rows - item.n_rows)
            except Exception:  # whatever it is, the training must go on
                _log.exception("%d rows of run %d could not be prepared for the store", item.n_rows, self._run_id)
                self._lose(item.n_rows)

    def _write_all(self) -> bool:
        """Whether the store took everything; otherwise it stays for the next attempt."""
        try:
            while self._ready and not self._deleted:
                self._write_next()
            if time.monotonic() - self._last_written >= HEARTBEAT_SECONDS and not self._deleted:
                self._send(Batch())
        except _TROUBLE as error:
            self._warn(error)
            return False
        except Exception:  # a mistake of ours: it costs what it was about, not the rest of the run
            _log.exception("a record of run %d could not be written", self._run_id)
            self._forget(self._ready.popleft())
        while self._deleted and self._ready:
            self._forget(self._ready.popleft())
        return True

    def _write_next(self) -> None:
        first = self._ready[0]
        if isinstance(first, Batch):
            self._write_rows()
        else:
            first()
            self._ready.popleft()

    def _forget(self, lost: Batch | Callable[[], None]) -> None:
        if isinstance(lost, Batch):
            self._lose(lost.n_rows)

    def _write_rows(self) -> None:
        taken: list[Batch] = []
        rows = 0
        for batch in self._ready:
            if not isinstance(batch, Batch) or rows >= ROWS_PER_TRANSACTION:
                break
            taken.append(batch)
            rows += batch.n_rows
        self._send(Batch.of_rows(taken))
        for _ in taken:
            self._ready.popleft()
        with self._changed:
            self._waiting -= rows
            self.lost_rows += rows if self._deleted else 0

    def _send(self, batch: Batch) -> None:
        lost, account, reported = self.lost_rows, self._account(), self._reported
        whole = replace(
            batch,
            progress=self._progress(),
            lost_rows=lost - self._reported_lost,
            recorder_seconds=account.recorder_seconds - reported.recorder_seconds,
            watched_seconds=account.watched_seconds - reported.watched_seconds,
            pace=account.pace,
        )
        wishes = write.append(self._store, self._run_id, whole)
        self._last_written = time.monotonic()
        self._reported_lost, self._reported = lost, account
        self.stop_requested = self.stop_requested or wishes.stop
        if wishes.deleted and not self._deleted:
            self._deleted = True
            _log.warning("run %d was deleted from %s; nothing more of it is recorded", self._run_id, self._store.shown)

    def _correct(self, more: int) -> None:
        """An item has turned out to take so many rows more, or fewer, than it said."""
        with self._changed:
            self._waiting += more

    def _lose(self, rows: int) -> None:
        with self._changed:
            self.lost_rows += rows
            self._waiting -= rows

    def _warn(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            reason = str(getattr(error, "orig", None) or error)
            _log.warning(
                "run %d cannot be written to %s (%s); training goes on, up to %d rows wait, more are lost",
                *(self._run_id, self._store.shown, reason, ROWS_KEPT),
            )
