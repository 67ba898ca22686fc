"""When to record: a schedule is a function from the optimiser's step (from 0) to whether that step is due."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal, Protocol

from gradscope.config.train import BUDGET
from gradscope.errors import RecorderError
from gradscope.recorder.budget import Budgeted
from gradscope.recorder.timer import Lap
from gradscope.records import Pace

Schedule = Callable[[int], bool]
Every = int | Literal["auto"] | Iterable[int] | Schedule
"""Steps between records after a dense start, as many as a budget allows, the steps themselves, or a function."""


_UNKNOWN = Pace()


class Timetable(Protocol):
    """A schedule that says how often it is due, and may change its mind when it is told what recording costs."""

    @property
    def pace(self) -> Pace:
        """How often a step is due at present."""

    def __call__(self, step: int) -> bool:
        """Whether the step is due."""

    def note(self, lap: Lap) -> None:
        """A step is done."""


@dataclass(frozen=True)
class Fixed:
    """A schedule that never changes."""

    due: Schedule
    pace: Pace = _UNKNOWN

    def __call__(self, step: int) -> bool:
        """Whether the step is due."""
        return self.due(step)

    def note(self, lap: Lap) -> None:
        """Makes no difference."""


def every_steps(every: int) -> Schedule:
    """Steps 0, 1, 2, 4, 8, ... below `every`, then every so many: most of what goes wrong goes wrong early.

    >>> [step for step in range(31) if every_steps(10)(step)]
    [0, 1, 2, 4, 8, 10, 20, 30]
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise RecorderError(
            f'every={every!r} is no number of steps; give a whole number from 1 on, such as every=10, or every="auto"'
        )
    return lambda step: step % every == 0 or (step < every and step & (step - 1) == 0)


def on_steps(steps: Iterable[int]) -> Schedule:
    """Exactly those steps.

    >>> [step for step in range(10) if on_steps([0, 7])(step)]
    [0, 7]
    """
    return frozenset(steps).__contains__


def timetable(every: Every, budget: float = BUDGET) -> Timetable:
    """What `Session.watch` was given, as a schedule.

    Raises:
        RecorderError: the number or the budget is none, or a budget is given beside a fixed schedule.
    """
    if every == "auto":
        return Budgeted(budget)
    if budget != BUDGET:
        raise RecorderError(f'budget={budget!r} counts with every="auto" only, and every={every!r} was given')
    if callable(every):
        return Fixed(every)
    if isinstance(every, Iterable) and not isinstance(every, str):
        return Fixed(on_steps(every))
    return Fixed(every_steps(every), Pace(record_every=every))
