"""The part of `write` that is about tasks. Each function is one transaction that holds the write lock throughout."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, case, func, insert, null, select, update

from gradscope.errors import JobError, RunNotFound, TaskNotFound
from gradscope.measured import Task
from gradscope.records import LOST_AFTER_SECONDS, Status
from gradscope.store import read_tasks
from gradscope.store.engine import Store
from gradscope.store.schema import RunRow, TaskRow
from gradscope.store.write import Wishes


def _now() -> datetime:
    return datetime.now(UTC)


def _change(store: Store, task_id: int, **values: Any) -> None:  # Any: SQLAlchemy's expressions beside plain values
    with store.writer.begin() as connection:
        if connection.execute(update(TaskRow).where(TaskRow.id == task_id).values(**values)).rowcount == 0:
            raise _absent(store, task_id)


def _absent(store: Store, task_id: int) -> TaskNotFound:
    return TaskNotFound(f"task {task_id} is not in the store {store.shown}; it or its run was deleted")


def create(
    store: Store, run_id: int, kind: str, settings: Mapping[str, object], *, status: Status = Status.QUEUED
) -> int:
    """Add a task on a run; returns its id, or that of an unfinished one that computes the same already.

    Raises:
        RunNotFound: there is no such run.
        JobError: it is to be at work at once, and another computes the same already.
    """
    now = _now()
    row: dict[str, object] = {"run_id": run_id, "kind": kind, "settings": dict(settings), "status": status}
    if status.is_alive:
        row |= {"started": now, "heartbeat": now}
    with store.writer.begin() as connection:
        if connection.execute(select(RunRow.id).where(RunRow.id == run_id)).scalar() is None:
            raise RunNotFound(f"run {run_id} is not in the store {store.shown}; `gradscope runs` lists what is")
        same = _unfinished_twin(connection, run_id, kind, settings)
        if same is not None and status.is_alive:
            raise JobError(f"task {same} computes the same on run {run_id} already; wait for it, or stop it")
        if same is not None:
            return same
        return int(connection.execute(insert(TaskRow).values(created=now, **row).returning(TaskRow.id)).scalar_one())


def _unfinished_twin(connection: Connection, run_id: int, kind: str, settings: Mapping[str, object]) -> int | None:
    going = [s for s in Status if not s.is_final]
    of_run = select(TaskRow.id, TaskRow.settings).where(
        TaskRow.run_id == run_id, TaskRow.kind == kind, TaskRow.status.in_(going)
    )
    return next((int(i) for i, known in connection.execute(of_run) if known == dict(settings)), None)


def start(store: Store, task_id: int, *, host: str, pid: int) -> None:
    """The task's process is at work: running from now on."""
    now = _now()
    status = case((TaskRow.status == Status.STOPPING, Status.STOPPING), else_=Status.RUNNING)
    _change(
        store,
        task_id,
        status=status,
        started=func.coalesce(TaskRow.started, now),
        heartbeat=now,
        ended=None,
        error=None,
        host=host,
        pid=pid,
        phase=null(),
    )


def report(
    store: Store, task_id: int, done: int | None = None, total: int | None = None, phase: str | None = None
) -> Wishes:
    """Say that the task lives and how far it is; None leaves what was there. Answers what others want of it."""
    values: dict[str, Any] = {  # Any: as above
        "heartbeat": _now(),
        # a laptop that slept comes back from the lost
        "status": case((TaskRow.status == Status.LOST, Status.RUNNING), else_=TaskRow.status),
        "ended": case((TaskRow.status == Status.LOST, null()), else_=TaskRow.ended),
        "error": case((TaskRow.status == Status.LOST, null()), else_=TaskRow.error),
    }
    values |= {k: v for k, v in {"done": done, "total": total, "phase": phase}.items() if v is not None}
    statement = update(TaskRow).where(TaskRow.id == task_id).values(**values).returning(TaskRow.stop_requested)
    with store.writer.begin() as connection:
        reply = connection.execute(statement).first()
    return Wishes(stop=True, deleted=True) if reply is None else Wishes(stop=bool(reply[0]), deleted=False)


def finish(store: Store, task_id: int, status: Status, *, error: str | None = None) -> None:
    """The task ended so."""
    _change(store, task_id, status=status, ended=_now(), error=error, stop_requested=False, phase=null())


def request_stop(store: Store, task_id: int) -> Status:
    """Ask a task to stop; a queued one is stopped at once. Returns its status from now on."""
    with store.writer.begin() as connection:
        status = connection.execute(select(TaskRow.status).where(TaskRow.id == task_id)).scalar()
        if status is None:
            raise _absent(store, task_id)
        if Status(status).is_final:
            raise JobError(f"task {task_id} is {status} already; there is nothing to stop")
        change = update(TaskRow).where(TaskRow.id == task_id)
        if Status(status) is Status.QUEUED:
            connection.execute(change.values(status=Status.STOPPED, ended=_now()))
            return Status.STOPPED
        connection.execute(change.values(status=Status.STOPPING, stop_requested=True))
        return Status.STOPPING


def requeue(store: Store, task_id: int) -> None:
    """Put a task whose process never came to life back into the queue."""
    _change(store, task_id, status=Status.QUEUED, ended=None, error=None, stop_requested=False)


def claim(store: Store, *, host: str, pid: int) -> Task | None:
    """Take the oldest queued task: running from now on, for the process that asked. None when the queue is empty."""
    oldest = select(TaskRow.id).where(TaskRow.status == Status.QUEUED).order_by(TaskRow.id).limit(1)
    with store.writer.begin() as connection:
        task_id = connection.execute(oldest.with_for_update(skip_locked=True)).scalar()
        if task_id is None:
            return None
        now = _now()
        claimed = {"status": Status.RUNNING, "heartbeat": now, "started": now, "phase": "starting"}
        connection.execute(update(TaskRow).where(TaskRow.id == task_id).values(**claimed, host=host, pid=pid))
    return read_tasks.task(store, int(task_id))


def mark_lost(store: Store) -> list[int]:
    """Mark the tasks whose process no longer says that it lives; returns their ids."""
    stale = _now() - timedelta(seconds=LOST_AFTER_SECONDS)
    statement = (
        update(TaskRow)
        .where(TaskRow.status.in_([s for s in Status if s.is_alive]), TaskRow.heartbeat < stale)
        .values(
            status=Status.LOST,
            ended=TaskRow.heartbeat,
            stop_requested=False,
            error="the task's process ended without a word (killed, out of memory, or the machine went down)",
        )
    )
    with store.writer.begin() as connection:
        return [int(row[0]) for row in connection.execute(statement.returning(TaskRow.id))]
