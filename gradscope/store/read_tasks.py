"""The part of `read` that is about tasks."""

from collections.abc import Iterable
from dataclasses import fields

from sqlalchemy import select

from gradscope.errors import TaskNotFound
from gradscope.measured import Task
from gradscope.records import Status
from gradscope.store.engine import Store
from gradscope.store.schema import TaskRow

_COLUMNS = [getattr(TaskRow, field.name) for field in fields(Task)]


def task(store: Store, task_id: int) -> Task:
    """One task, or TaskNotFound."""
    with store.reader.connect() as connection:
        row = connection.execute(select(*_COLUMNS).where(TaskRow.id == task_id)).mappings().first()
    if row is None:
        raise TaskNotFound(f"task {task_id} is not in the store {store.shown}")
    return Task(**{**row, "status": Status(row["status"])})


def tasks(store: Store, run_ids: Iterable[int] | None = None, kind: str | None = None) -> list[Task]:
    """The tasks on these runs (on all by default) and of this kind (of any by default), newest first."""
    statement = select(*_COLUMNS).order_by(TaskRow.id.desc())
    if run_ids is not None:
        statement = statement.where(TaskRow.run_id.in_(list(run_ids)))
    if kind is not None:
        statement = statement.where(TaskRow.kind == kind)
    with store.reader.connect() as connection:
        rows = connection.execute(statement).mappings()
        return [Task(**{**row, "status": Status(row["status"])}) for row in rows]


def unfinished(store: Store) -> dict[int, Status]:
    """Status of every task that is queued, running or stopping, by id, oldest first. Cheap enough to ask at 5 Hz."""
    going = [s for s in Status if not s.is_final]
    statement = select(TaskRow.id, TaskRow.status).where(TaskRow.status.in_(going)).order_by(TaskRow.id)
    with store.reader.connect() as connection:
        return {int(task_id): Status(status) for task_id, status in connection.execute(statement)}
