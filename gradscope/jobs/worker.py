"""The process of one run or task: started apart from its starter, found again by a later one."""

import json
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import psutil

from gradscope.paths import STORE_VARIABLE, ProcessPaths, is_url
from gradscope.store import Store


def child_variables(store: Store) -> dict[str, str]:
    """Environment of a process that works for the store."""
    known = {STORE_VARIABLE: store.name} if is_url(store.name) else {}
    return {**os.environ, **known, "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True, kw_only=True)
class Identity:
    """Which process: the birth tells it from a later one with the same id."""

    pid: int
    created: float
    slot: int


class Worker:
    """The process of a run or a task, which goes by its number."""

    def __init__(self, number: int, slot: int, process: psutil.Process, child: subprocess.Popen[bytes] | None) -> None:
        self.number = number
        self.slot = slot
        self._process = process
        self._child = child

    @classmethod
    def start(
        cls, number: int, slot: int, command: Sequence[str], variables: Mapping[str, str], paths: ProcessPaths
    ) -> "Worker":
        """Start a process in a session of its own: it outlives us and a Ctrl-C in our terminal. Appends to its log."""
        paths.folder.mkdir(parents=True, exist_ok=True)
        _separate(paths.log)
        with paths.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                env=dict(variables),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        process = psutil.Process(child.pid)
        _note(paths.worker, Identity(pid=child.pid, created=process.create_time(), slot=slot))
        return cls(number, slot, process, child)

    @classmethod
    def find(cls, number: int, paths: ProcessPaths) -> "Worker | None":
        """The process that an earlier supervisor started for it, if it still lives."""
        try:
            known = Identity(**json.loads(paths.worker.read_text()))
            process = psutil.Process(known.pid)
            # birth is kept in ticks of 10 ms and computed from the boot time, which a clock correction moves
            if abs(process.create_time() - known.created) > 2:
                return None
        except (FileNotFoundError, ValueError, TypeError, psutil.NoSuchProcess):
            return None
        worker = cls(number, known.slot, process, None)
        return None if worker.has_ended() else worker

    def has_ended(self) -> bool:
        """Whether the process is gone; takes note of a child's death, so that it leaves no zombie."""
        if self._child is not None:
            return self._child.poll() is not None
        try:
            return not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    @property
    def exit_code(self) -> int | None:
        """Negative: the signal that ended it. None: not ended, or not our child, which nobody can tell."""
        return None if self._child is None else self._child.returncode

    def terminate(self) -> None:
        """Ask it to write a checkpoint and end."""
        if not self.has_ended():
            self._process.terminate()

    def kill(self) -> None:
        """End it and everything it started."""
        if not self.has_ended():
            os.killpg(self._process.pid, signal.SIGKILL)

    def wait(self, seconds: float) -> None:
        """Until it has ended, at most so long."""
        try:
            _ = self._child.wait(seconds) if self._child else self._process.wait(seconds)
        except (psutil.TimeoutExpired, subprocess.TimeoutExpired):
            return


def _separate(log: Path) -> None:
    """A line between what an earlier process printed and what the next one will."""
    if log.exists() and log.stat().st_size:
        with log.open("a") as file:
            file.write(f"\n{SEPARATOR} {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC ----\n")


SEPARATOR = "---- resumed"


def _note(path: Path, identity: Identity) -> None:
    # written beside and renamed: a torn file would lose a living process
    beside = path.with_suffix(".tmp")
    beside.write_text(json.dumps(asdict(identity)))
    beside.replace(path)
