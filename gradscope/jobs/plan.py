"""What a supervisor does next, as a function of what it sees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gradscope.records import Status

GRACE_SECONDS = 3.0
"""What was asked to stop hears of it through the store; after so long it also gets a SIGTERM."""

KILL_SECONDS = 60.0
"""After so long it is ended by force."""


@dataclass(frozen=True, kw_only=True)
class Child:
    """A process at work on a run or a task."""

    number: int
    """Of the run or the task."""
    slot: int
    unwanted_since: float | None = None
    """When that was first seen stopping, ended or deleted; None as long as it should go on."""
    terminated: bool = False
    """It got its SIGTERM."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to do now."""

    terminate: tuple[int, ...] = ()
    """Those whose process gets a SIGTERM."""
    kill: tuple[int, ...] = ()
    """Those whose process group gets a SIGKILL."""
    fill: tuple[int, ...] = ()
    """Slots that each take the oldest in the queue."""


def noticed(child: Child, unfinished: Mapping[int, Status], now: float) -> Child:
    """The child with the time since which nobody wants it to go on.

    Args:
        child: a process.
        unfinished: status of each run, or each task, that is queued, running or stopping.
        now: seconds on any clock that never goes back.
    """
    if unfinished.get(child.number) is Status.RUNNING:
        return replace(child, unwanted_since=None, terminated=False)
    return child if child.unwanted_since is not None else replace(child, unwanted_since=now)


def decide(unfinished: Mapping[int, Status], children: Sequence[Child], slots: Sequence[int], now: float) -> Plan:
    """Stop what is unwanted for too long, and fill the free slots from the queue.

    Args:
        unfinished: status of each run, or each task, that is queued, running or stopping.
        children: the living processes, each `noticed`.
        slots: numbers of all slots.
        now: seconds on the clock of `noticed`.
    """
    waited = {c.number: now - c.unwanted_since for c in children if c.unwanted_since is not None}
    taken = {c.slot for c in children}
    n_queued = sum(status is Status.QUEUED for status in unfinished.values())
    return Plan(
        terminate=tuple(c.number for c in children if not c.terminated and waited.get(c.number, 0.0) >= GRACE_SECONDS),
        kill=tuple(c.number for c in children if waited.get(c.number, 0.0) >= KILL_SECONDS),
        fill=tuple([s for s in slots if s not in taken][:n_queued]),
    )
