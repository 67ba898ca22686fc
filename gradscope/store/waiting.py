"""Queued runs that wait for another to be complete: a student for its teacher."""

from typing import Any

from sqlalchemy import Connection, exists, or_, select
from sqlalchemy.orm import aliased

from gradscope.records import Status
from gradscope.store.engine import Store
from gradscope.store.schema import RunRow

_OTHER = aliased(RunRow)
_HOPEFUL = [Status.COMPLETED, *(s for s in Status if not s.is_final)]

READY = (
    RunRow.status == Status.QUEUED,
    or_(RunRow.waits_for.is_(None), exists().where(_OTHER.id == RunRow.waits_for, _OTHER.status == Status.COMPLETED)),
)
"""That a run may begin."""
_ORPHANED = (
    RunRow.status == Status.QUEUED,
    RunRow.waits_for.is_not(None),
    ~exists().where(_OTHER.id == RunRow.waits_for, _OTHER.status.in_(_HOPEFUL)),
)


def is_anything_to_do(store: Store) -> bool:
    """Whether a queued run may begin, or has to fail."""
    with store.reader.connect() as connection:
        return any(connection.execute(select(RunRow.id).where(*w).limit(1)).first() for w in (READY, _ORPHANED))


def orphans(connection: Connection) -> list[tuple[int, str]]:
    """Queued runs whose teacher has ended in another way than complete, or is deleted, each with the cause."""
    teacher = select(_OTHER.name, _OTHER.status, _OTHER.error)
    waiting = connection.execute(select(RunRow.id, RunRow.waits_for).where(*_ORPHANED)).all()
    return [
        (run_id, _cause(wanted, connection.execute(teacher.where(_OTHER.id == wanted)).first()))
        for run_id, wanted in waiting
    ]


def _cause(wanted: int | None, found: Any) -> str:  # Any: a row of the teacher's name, status and error, or None
    if found is None:
        return f"its teacher, run {wanted}, was deleted; start it anew with another teacher"
    why = f": {found.error}" if found.error else ""
    return f"its teacher, run {wanted} ({found.name}), is {found.status}{why}; resume the teacher, then this run"
