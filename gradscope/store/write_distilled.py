"""The part of `write` that is about students beside their teachers."""

from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import delete, insert

from gradscope.distilled import Distilled
from gradscope.errors import RunNotFound
from gradscope.store.engine import Store
from gradscope.store.schema import DistilledRow
from gradscope.store.write import changed


def distilled(store: Store, run_id: int, found: Distilled) -> None:
    """Add what was measured of a student, in place of what was measured of the same weights and pictures.

    Raises:
        RunNotFound: the run was deleted meanwhile.
    """
    row = {"run_id": run_id, "computed": datetime.now(UTC), **asdict(found)}
    key = list(DistilledRow.__table__.primary_key)
    with store.writer.begin() as connection:
        if connection.execute(changed(run_id)).rowcount == 0:
            raise RunNotFound(f"run {run_id} is not in the store {store.shown}; it was deleted")
        connection.execute(delete(DistilledRow).where(*(column == row[column.name] for column in key)))
        connection.execute(insert(DistilledRow).values(row))
