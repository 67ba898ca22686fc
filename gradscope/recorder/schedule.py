"""When to record: a schedule is a function from the optimiser's step (from 0) to whether that step is due."""

from collections.abc import Callable, Iterable

from gradscope.errors import RecorderError

Schedule = Callable[[int], bool]


def every_steps(every: int) -> Schedule:
    """Steps 0, 1, 2, 4, 8, ... below `every`, then every so many: most of what goes wrong goes wrong early.

    >>> [step for step in range(31) if every_steps(10)(step)]
    [0, 1, 2, 4, 8, 10, 20, 30]
    """
    if isinstance(every, bool) or not isinstance(every, int) or every < 1:
        raise RecorderError(f"every={every!r} is no number of steps; give a whole number from 1 on, such as every=10")
    return lambda step: step % every == 0 or (step < every and step & (step - 1) == 0)


def on_steps(steps: Iterable[int]) -> Schedule:
    """Exactly those steps.

    >>> [step for step in range(10) if on_steps([0, 7])(step)]
    [0, 7]
    """
    return frozenset(steps).__contains__


def schedule_of(every: int | Iterable[int] | Schedule) -> Schedule:
    """A number of steps, or the steps themselves, as a schedule; a function is one already."""
    if callable(every):
        return every
    return on_steps(every) if isinstance(every, Iterable) else every_steps(every)
