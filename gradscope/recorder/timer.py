"""What the recorder itself costs the training thread."""

from dataclasses import dataclass
from time import perf_counter
from types import TracebackType


@dataclass(frozen=True, slots=True)
class Lap:
    """A step by the clock."""

    seconds: float
    """From the end of the step before."""
    cost: float
    """Seconds of them that recording took, on the training thread."""
    recorded: bool
    slowed: bool = False
    """Whether the network ran slower than on other steps because it was recorded: uncompiled."""
    settled: bool = True
    """Whether recording went as fast as it ever will: by the compiled kernel, where there is one."""


class Timer:
    """Sums the seconds spent inside `with timer:`; nested blocks count once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        """Spent inside so far."""
        self.elapsed = 0.0
        """From the beginning to the last lap, inside or not."""
        self._depth = 0
        self._began = self._since = perf_counter()
        self._spent = 0.0

    def __enter__(self) -> None:
        if self._depth == 0:
            self._since = perf_counter()
        self._depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._depth -= 1
        if self._depth == 0:
            self.seconds += perf_counter() - self._since

    def lap(self) -> tuple[float, float]:
        """Seconds since the lap before, and how many of them were spent inside."""
        elapsed, spent = perf_counter() - self._began, self.seconds
        lap = elapsed - self.elapsed, spent - self._spent
        self.elapsed, self._spent = elapsed, spent
        return lap
