"""What a supervisor serves: the runs to train and the tasks on runs, each a queue that answers the same questions."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gradscope.jobs.plan import KILL_SECONDS
from gradscope.paths import ProcessPaths, is_url
from gradscope.records import Batch, Status
from gradscope.store import Store, read, read_tasks, write, write_tasks

Command = Callable[[Store, int], Sequence[str]]
"""What to run for a run or a task of a store."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a supervisor has to know of one thing in its queue."""

    status: Status
    host: str | None
    """The machine that it runs on."""
    starting: bool
    """Claimed, and its process has not said a word yet."""
    stop_requested: bool
    device: str
    """As `train.device` names it."""


class Queue(Protocol):
    """Things that each take a process of their own; named by numbers."""

    @property
    def store(self) -> Store:
        """Where they are."""

    @property
    def noun(self) -> str:
        """What people call one of them."""

    @property
    def when_forced(self) -> str:
        """What people are told of one that had to be ended by force."""

    def unfinished(self) -> dict[int, Status]:
        """Status of everything queued or at work, oldest first."""

    def entry(self, number: int) -> Entry:
        """One of them, or RunNotFound."""

    def claim(self, host: str, pid: int) -> int | None:
        """Take the oldest that waits."""

    def paths(self, number: int) -> ProcessPaths:
        """Where its process leaves its log, and we a note of the process."""

    def command(self, number: int) -> Sequence[str]:
        """What to run."""

    def beat(self, number: int) -> None:
        """Say that it lives, for a process that still loads its libraries."""

    def finish(self, number: int, status: Status, error: str | None = None) -> None:
        """Write down how it ended."""

    def requeue(self, number: int) -> None:
        """Let it wait again."""

    def mark_lost(self) -> list[int]:
        """Bury those that have been silent for too long."""


def store_arguments(store: Store) -> list[str]:
    """`--store PATH`, absolute. A URL may hold a password, which `ps` would show: `child_variables` has it."""
    return [] if is_url(store.name) else ["--store", str(Path(store.name).absolute())]


def run_command(store: Store, run_id: int) -> list[str]:
    """`gradscope work RUN` by this Python."""
    return [sys.executable, "-m", "gradscope", "work", str(run_id), *store_arguments(store)]


def task_command(store: Store, task_id: int) -> list[str]:
    """`gradscope perform TASK` by this Python."""
    return [sys.executable, "-m", "gradscope", "perform", str(task_id), *store_arguments(store)]


class RunQueue:
    """Runs to train."""

    noun = "run"
    when_forced = f"it did not stop within {KILL_SECONDS:.0f} s and was ended; its last checkpoint stands"

    def __init__(self, store: Store, command: Command = run_command) -> None:
        self.store, self._command = store, command

    def unfinished(self) -> dict[int, Status]:
        """See Queue."""
        return read.unfinished(self.store)

    def entry(self, number: int) -> Entry:
        """See Queue. A run that another program records counts as one of another machine."""
        run = read.run(self.store, number)
        starting = run.progress.phase == "starting"
        ours = starting or self.paths(number).worker.exists()
        train = run.config.get("train")
        return Entry(
            status=run.status,
            host=run.provenance.host if ours else None,
            starting=starting,
            stop_requested=run.stop_requested,
            device=str(train.get("device", "auto")) if isinstance(train, dict) else "auto",
        )

    def claim(self, host: str, pid: int) -> int | None:
        """See Queue."""
        run = write.claim(self.store, host=host, pid=pid)
        return None if run is None else run.id

    def paths(self, number: int) -> ProcessPaths:
        """See Queue."""
        return self.store.paths(number)

    def command(self, number: int) -> Sequence[str]:
        """See Queue."""
        return self._command(self.store, number)

    def beat(self, number: int) -> None:
        """See Queue."""
        write.append(self.store, number, Batch())

    def finish(self, number: int, status: Status, error: str | None = None) -> None:
        """See Queue."""
        write.finish(self.store, number, status, error=error)

    def requeue(self, number: int) -> None:
        """See Queue."""
        write.requeue(self.store, number)

    def mark_lost(self) -> list[int]:
        """See Queue."""
        return write.mark_lost(self.store)


class TaskQueue:
    """Tasks on runs."""

    noun = "task"
    when_forced = f"it did not stop within {KILL_SECONDS:.0f} s and was ended; what it had stored stands"

    def __init__(self, store: Store, command: Command = task_command) -> None:
        self.store, self._command = store, command

    def unfinished(self) -> dict[int, Status]:
        """See Queue."""
        return read_tasks.unfinished(self.store)

    def entry(self, number: int) -> Entry:
        """See Queue. A task that is performed in somebody's terminal counts as one of another machine."""
        task = read_tasks.task(self.store, number)
        starting = task.phase == "starting"
        return Entry(
            status=task.status,
            host=task.host if starting or self.paths(number).worker.exists() else None,
            starting=starting,
            stop_requested=task.stop_requested,
            device=str(task.settings.get("device", "auto")),
        )

    def claim(self, host: str, pid: int) -> int | None:
        """See Queue."""
        task = write_tasks.claim(self.store, host=host, pid=pid)
        return None if task is None else task.id

    def paths(self, number: int) -> ProcessPaths:
        """See Queue."""
        return self.store.paths(read_tasks.task(self.store, number).run_id).task(number)

    def command(self, number: int) -> Sequence[str]:
        """See Queue."""
        return self._command(self.store, number)

    def beat(self, number: int) -> None:
        """See Queue."""
        write_tasks.report(self.store, number)

    def finish(self, number: int, status: Status, error: str | None = None) -> None:
        """See Queue."""
        write_tasks.finish(self.store, number, status, error=error)

    def requeue(self, number: int) -> None:
        """See Queue."""
        write_tasks.requeue(self.store, number)

    def mark_lost(self) -> list[int]:
        """See Queue."""
        return write_tasks.mark_lost(self.store)
