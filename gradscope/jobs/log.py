"""Reading the end of a run's log."""

from pathlib import Path

from gradscope.jobs.worker import SEPARATOR

_MOST_BYTES = 65_536


def tail(log: Path, lines: int) -> str:
    """The last lines of a file, at most 64 KiB of them; empty if there is no file."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _MOST_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    # of a progress bar only its last state is worth a line
    return "\n".join([line.rpartition("\r")[2] for line in text.rstrip().split("\n")][-lines:])


def last_line(log: Path) -> str:
    """The last line that the run's latest process wrote; empty if it wrote none."""
    line = tail(log, 1).strip()
    return "" if line.startswith(SEPARATOR) else line
