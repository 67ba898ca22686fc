"""A lock that its holder's death releases, whatever the death: the kernel's flock on a file."""

import fcntl
import os
import time
from pathlib import Path

from gradscope.errors import JobError

_PATIENCE_SECONDS = 1.0


class Lock:
    """Held by at most one process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self) -> bool:
        """Whether the lock is ours now. Tries for a second: somebody may only be looking (`is_held`)."""
        path = _open(self._path)
        end = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                fcntl.flock(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    os.close(path)
                    return False
                time.sleep(0.05)
            else:
                self._file = path
                return True

    def release(self) -> None:
        """Let others have it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


def is_held(path: Path) -> bool:
    """Whether a process holds the lock."""
    if not path.exists():
        return False
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise JobError(
            f"the lock file {path} cannot be opened ({error.strerror}); give yourself write access to start runs"
        ) from error
