"""How a run ends when nobody ends it: the interpreter exits, an exception is raised, SIGTERM comes."""

import atexit
import os
import signal
import sys
import threading
from types import FrameType
from typing import Protocol

from gradscope.records import Status

TERMINATED = 128 + signal.SIGTERM


class _Ends(Protocol):
    def finish(self, status: Status | str = ..., *, error: str | None = ...) -> None: ...


def ending_of(error: BaseException | None) -> tuple[Status, str | None]:
    """Status of a run that the exception ended, and the cause in words; completed without one."""
    if error is None or (isinstance(error, SystemExit) and error.code in (None, 0)):
        return Status.COMPLETED, None
    if isinstance(error, KeyboardInterrupt) or (isinstance(error, SystemExit) and error.code == TERMINATED):
        return Status.STOPPED, None
    return Status.FAILED, f"{type(error).__name__}: {error}".rstrip(": ")


class AtEnd:
    """Ends a session when the process ends, unless it is told to forget it."""

    def __init__(self, session: _Ends, *, take_signals: bool) -> None:
        self._session = session
        self._process = os.getpid()
        self._took_signal = False
        atexit.register(self._at_exit)
        in_main_thread = threading.current_thread() is threading.main_thread()
        if take_signals and in_main_thread and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)
            self._took_signal = True

    def forget(self) -> None:
        """The session ended in its own way."""
        atexit.unregister(self._at_exit)
        in_main_thread = threading.current_thread() is threading.main_thread()
        if self._took_signal and in_main_thread and signal.getsignal(signal.SIGTERM) is _terminate:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _at_exit(self) -> None:
        if os.getpid() != self._process:
            return  # a forked child that leaves: the run is its parent's
        error = _Terminated.last or getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
        status, cause = ending_of(error)
        self._session.finish(status, error=cause)


class _Terminated:
    """The exit that SIGTERM caused; the interpreter itself does not remember it."""

    last: SystemExit | None = None


def _terminate(number: int, frame: FrameType | None) -> None:
    """Leave as by sys.exit, so that everything is written: without a handler SIGTERM ends a process on the spot."""
    _Terminated.last = SystemExit(TERMINATED)
    raise _Terminated.last
