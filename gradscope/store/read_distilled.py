"""The part of `read` that is about students beside their teachers."""

from collections.abc import Iterable
from dataclasses import fields

import pandas as pd
from sqlalchemy import select

from gradscope.distilled import Distilled
from gradscope.store import read
from gradscope.store.engine import Store
from gradscope.store.schema import DistilledRow

DISTILLED_COLUMNS = ["run", *(field.name for field in fields(Distilled)), "computed"]


def distilled(store: Store, run_ids: Iterable[int]) -> pd.DataFrame:
    """What each student took over from its teacher, as it was measured last, a row a run.

    Columns: run, those of `gradscope.distilled.Distilled` (divergences and milliseconds are mappings), computed.
    """
    columns = [getattr(DistilledRow, name) for name in DISTILLED_COLUMNS[1:]]
    statement = select(DistilledRow.run_id, *columns).where(DistilledRow.run_id.in_(list(run_ids)))
    found = read.table_of(store, statement, DISTILLED_COLUMNS)
    return found.sort_values("computed").drop_duplicates("run", keep="last").sort_values("run", ignore_index=True)
