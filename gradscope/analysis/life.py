"""Where a run is in its life: share done, time left, time taken."""

from datetime import datetime

from gradscope.measured import Task
from gradscope.records import Run, Status


def share_done(run: Run) -> float | None:
    """Share in 0..1 of the run's steps that are behind it; None if it is not known how many there are."""
    if run.status is Status.COMPLETED:
        return 1.0
    total = run.progress.total_steps
    if not total:
        return None
    return min(1.0, (run.progress.last_step + 1) / total) if run.progress.last_step > 0 else 0.0


def seconds_taken(run: Run, now: datetime) -> float | None:
    """At work, over all the times the run was started; None before it started.

    Where nobody counted, as in imported runs, from its start to its end or until now.
    """
    if run.progress.seconds is not None:
        return run.progress.seconds
    if run.started is None:
        return None
    return max(0.0, ((run.ended or now) - run.started).total_seconds())


def seconds_left(run: Run, now: datetime) -> float | None:
    """How long the run still needs; None if that cannot be told.

    At its present speed where that is known; else at its pace so far.
    """
    share, taken = share_done(run), seconds_taken(run, now)
    if run.status.is_final or not share or not taken:
        return None
    speed, batch_size, total = run.progress.samples_per_second, _batch_size(run), run.progress.total_steps
    if speed and batch_size and total:
        return (total - run.progress.last_step - 1) * batch_size / speed
    return taken * (1 - share) / share


def _batch_size(run: Run) -> int | None:
    train = run.config.get("train")
    size = train.get("batch_size") if isinstance(train, dict) else None
    return size if run.source == "train" and isinstance(size, int) else None


def task_seconds_left(task: Task, now: datetime) -> float | None:
    """How long a task still needs at its pace since it started; None before its first part is done."""
    if task.status.is_final or task.started is None or not task.total or not task.done:
        return None
    return max(0.0, (now - task.started).total_seconds()) / task.done * (task.total - task.done)
