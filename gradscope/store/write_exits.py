"""The part of `write` that is about exits."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, delete, insert

from gradscope.errors import RunNotFound
from gradscope.measured import ExitPoint, ExitSweep
from gradscope.store.engine import Store
from gradscope.store.schema import Base, ExitRow, ExitSweepRow
from gradscope.store.write import changed


def exits(store: Store, run_id: int, found: Sequence[ExitPoint], sweeps: Sequence[ExitSweep] = ()) -> None:
    """Add what was measured of a run, in place of what was measured in the same way.

    Raises:
        RunNotFound: the run was deleted meanwhile.
    """
    now = datetime.now(UTC)
    with store.writer.begin() as connection:
        if connection.execute(changed(run_id)).rowcount == 0:
            raise RunNotFound(f"run {run_id} is not in the store {store.shown}; it was deleted")
        for point in found:
            _put(connection, ExitRow, {"run_id": run_id, "computed": now, **asdict(point)})
        for sweep in sweeps:
            values = {"run_id": run_id, "computed": now, **asdict(sweep), "left": list(sweep.left)}
            _put(connection, ExitSweepRow, values)


def _put(connection: Connection, table: type[Base], row: dict[str, Any]) -> None:  # Any: a column's value
    key = [column for column in table.__table__.primary_key]
    connection.execute(delete(table).where(*(column == row[column.name] for column in key)))
    connection.execute(insert(table).values(row))
