"""The part of `write` that is about attributions."""

from dataclasses import asdict

from sqlalchemy import insert, update

from gradscope.measured import Attribution
from gradscope.store.engine import Store
from gradscope.store.schema import AttributionRow, RunRow


def add(store: Store, found: Attribution) -> None:
    """Note a file of attributions, after it was written: what the store names is there."""
    row = {**asdict(found), "places": list(found.places)}
    with store.writer.begin() as connection:
        known = update(RunRow).where(RunRow.id == found.run_id).values(revision=RunRow.revision + 1)
        if connection.execute(known).rowcount:  # the run may have been deleted meanwhile, and its files with it
            connection.execute(insert(AttributionRow).values(**row))
