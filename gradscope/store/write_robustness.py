"""The part of `write` that is about robustness."""

import zlib
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import delete, insert

from gradscope.errors import RunNotFound
from gradscope.measured import RobustnessPoint
from gradscope.store.engine import Store
from gradscope.store.schema import RobustnessRow
from gradscope.store.write import changed


def point(store: Store, run_id: int, found: RobustnessPoint) -> None:
    """Add a point to a run, in place of one that was computed in the same way.

    Raises:
        RunNotFound: the run was deleted meanwhile.
    """
    row = {**asdict(found), "accuracies": list(found.accuracies)}
    row |= {"run_id": run_id, "right": zlib.compress(found.right), "computed": datetime.now(UTC)}
    key = [column for column in RobustnessRow.__table__.primary_key]
    with store.writer.begin() as connection:
        if connection.execute(changed(run_id)).rowcount == 0:
            raise RunNotFound(f"run {run_id} is not in the store {store.shown}; it was deleted")
        connection.execute(delete(RobustnessRow).where(*(column == row[column.name] for column in key)))
        connection.execute(insert(RobustnessRow).values(row))
