"""Questions about curves that must not be asked of thinned ones: which there are, and where one was at its best."""

from collections.abc import Iterable

import pandas as pd
from sqlalchemy import func, select

from gradscope.store.engine import Store
from gradscope.store.schema import MetricRow

BEST_COLUMNS = ["run", "value", "step"]


def metric_names(store: Store, run_ids: Iterable[int]) -> list[str]:
    """Names of the curves of any of the runs, in alphabetical order."""
    return sorted({name for run_id in run_ids for name in _names(store, run_id)})


def _names(store: Store, run_id: int) -> list[str]:
    # from name to name along the key: DISTINCT would read every point of the run
    first = select(func.min(MetricRow.name).label("name")).where(MetricRow.run_id == run_id)
    walk = first.cte("walk", recursive=True)
    after = select(func.min(MetricRow.name)).where(MetricRow.run_id == run_id, MetricRow.name > walk.c.name)
    walk = walk.union_all(select(after.scalar_subquery()).where(walk.c.name.is_not(None)))
    with store.reader.connect() as connection:
        return [name for (name,) in connection.execute(select(walk.c.name).where(walk.c.name.is_not(None)))]


def highest(store: Store, run_ids: Iterable[int], names: Iterable[str]) -> pd.DataFrame:
    """Where each run's curves of these names were highest, taken together; the first such step.

    Columns: run, value, step; no row for a run that has no finite value of such a name.
    """
    chosen = MetricRow.run_id.in_(list(run_ids)), MetricRow.name.in_(list(names)), MetricRow.value.is_not(None)
    order = (MetricRow.value.desc(), MetricRow.step)
    place = func.row_number().over(partition_by=MetricRow.run_id, order_by=order).label("place")
    ranked = select(MetricRow.run_id.label("run"), MetricRow.value, MetricRow.step, place).where(*chosen).subquery()
    statement = select(*ranked.c[*BEST_COLUMNS]).where(ranked.c.place == 1).order_by(ranked.c.run)
    with store.reader.connect() as connection:
        rows = connection.execute(statement).all()
    return pd.DataFrame.from_records([tuple(row) for row in rows], columns=BEST_COLUMNS)
