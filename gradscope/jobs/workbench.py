"""One warm torch process beside the dashboard: a page asks and has its answer in a second, without torch of its own.

It is started with the first question, answers one at a time, and ends with this process, whichever way that ends: its
standard input is our pipe. An answer that does not come in time ends it, and the next question starts another.
"""

import atexit
import contextlib
import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from gradscope.errors import JobError
from gradscope.jobs.worker import child_variables
from gradscope.paths import workbench_log
from gradscope.store import Store

COMMAND = (sys.executable, "-m", "gradscope.workbench")
PATIENCE_SECONDS = 60.0
"""An answer takes a second; the first one of a run that kept no batch reads its data first."""

START_SECONDS = 120.0
"""More for a process that is yet to start: loading PyTorch takes seconds, or half a minute while runs are trained."""

_LATE = "there was no answer in time, so the computation was ended; try again, or a smaller change"
_BUSY = "the process that computes for pages is busy with another question; try again in a moment"

Line = str | None
"""What the process said; None once it has ended."""


class Workbench:
    """The process and the pipe to it. Any thread may ask."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.SimpleQueue[Line] = queue.SimpleQueue()

    def ask(
        self, store: Store, question: str, seconds: float | None = None, **details: Any
    ) -> Mapping[str, Any]:  # Any: JSON
        """The answer to a question of `gradscope.workbench.questions`.

        Args:
            store: it is about; its name goes along.
            question: its name.
            seconds: to wait for the answer; by default PATIENCE_SECONDS, and START_SECONDS more for a new process.
            details: of the question, JSON.

        Raises:
            JobError: no answer, in one sentence; what was printed is in the log that the sentence names.
        """
        if seconds is None:
            seconds = PATIENCE_SECONDS + (0.0 if self.is_warm else START_SECONDS)
        end = time.monotonic() + seconds
        if not self._lock.acquire(timeout=seconds):
            raise JobError(_BUSY)
        try:
            number = next(self._numbers)
            asked = json.dumps({"id": number, "question": question, "store": store.name, **details})
            said = self._said(store, asked, end)
            if said is None:  # it had ended before, or in this moment, because nobody had asked for long
                said = self._said(store, asked, end)
        finally:
            self._lock.release()
        if said is None:
            raise JobError(
                f"the process that computes it ended without an answer; its log is {workbench_log(store.name)}"
            )
        if "error" in said:
            raise JobError(str(said["error"]))
        answer: Mapping[str, Any] = said["answer"]
        return answer

    @property
    def is_warm(self) -> bool:
        """Whether there is a process to be asked."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _said(self, store: Store, asked: str, end: float) -> Mapping[str, Any] | None:  # Any: JSON
        """What it answers; None if it ended instead."""
        process = self._process if self.is_warm and self._process else self._start(store)
        assert process.stdin
        try:
            process.stdin.write(asked + "\n")
            process.stdin.flush()
            line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
        except OSError:
            line = None
        except queue.Empty:
            self.close()
            raise JobError(_LATE) from None
        if line is None:
            self.close()
            return None
        found: Mapping[str, Any] = json.loads(line)
        return found

    def _start(self, store: Store) -> subprocess.Popen[str]:
        self.close()
        log = workbench_log(store.name)
        with contextlib.ExitStack() as files:
            try:
                log.parent.mkdir(parents=True, exist_ok=True)
                output: Any = files.enter_context(log.open("ab"))
            except OSError:  # a store that may only be read: the answers matter more than the log
                output = subprocess.DEVNULL
            process = subprocess.Popen(
                self._command,
                env=child_variables(store),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # Ctrl-C in our terminal is ours; it hears of our end through the pipe
            )
        self._process, self._lines = process, queue.SimpleQueue()
        threading.Thread(target=_read, args=(process, self._lines), name="gradscope-workbench", daemon=True).start()
        return process


def _read(process: subprocess.Popen[str], lines: "queue.SimpleQueue[Line]") -> None:
    """A thread of its own reads, because a pipe cannot be waited for with a time limit on every system."""
    assert process.stdout
    with contextlib.suppress(ValueError, OSError):  # closed under our hands
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


WORKBENCH = Workbench()
"""The dashboard's one."""
atexit.register(WORKBENCH.close)
