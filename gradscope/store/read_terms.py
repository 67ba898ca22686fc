"""Gradients by cause: the share of each term of the loss in every layer's gradient."""

from collections.abc import Iterable

import pandas as pd
from sqlalchemy import ColumnElement, literal, or_, select

from gradscope.store import read
from gradscope.store.engine import Store
from gradscope.store.schema import TermCosineRow, TermGradientRow

TERM_COLUMNS = ["run", "step", "layer", "name", "depth", "term", "share", "rms"]
COSINE_COLUMNS = ["run", "step", "layer", "name", "depth", "term", "other", "cosine"]


def term_gradients(store: Store, run_ids: Iterable[int], step: int | None = None) -> pd.DataFrame:
    """What each term of the loss adds to every layer's gradient, at one recorded step of each run.

    Args:
        store: to be read.
        run_ids: of the runs; those whose loss has one term only have no rows.
        step: the nearest at or below it is read, of each run; the latest if None.

    Columns: run, step, layer, name, depth (0..1), term (such as label or distillation), share (of the term in the
    layer's gradient, g_term . g / |g|^2: those of a layer add up to 1, a term that pulls against the others is below
    0; NaN = the gradient is 0 or not finite), rms (of the term's gradient, nats per unit weight; NaN = not finite).
    """
    at = [(run_id, _step_at_or_below(store, run_id, step)) for run_id in run_ids]
    chosen = [(TermGradientRow.run_id == r) & (TermGradientRow.step == s) for r, s in at if s is not None]
    return _gradients(store, or_(*chosen) if chosen else literal(False))


def term_steps(store: Store, run_ids: Iterable[int]) -> list[int]:
    """Steps at which the gradients of any of the runs were split by term, in order."""
    statement = select(TermGradientRow.step).where(TermGradientRow.run_id.in_(list(run_ids))).distinct()
    with store.reader.connect() as connection:
        return [int(s) for (s,) in connection.execute(statement.order_by(TermGradientRow.step))]


def term_series(store: Store, run_id: int, max_steps: int = 300) -> pd.DataFrame:
    """The same of a run over its recorded steps, thinned to at most max_steps. Columns as `term_gradients`."""
    return _gradients(store, (TermGradientRow.run_id == run_id) & _kept(store, run_id, max_steps, TermGradientRow))


def term_cosines(store: Store, run_ids: Iterable[int], step: int | None = None) -> pd.DataFrame:
    """The cosine between the gradients of every two terms of the loss in every layer, at one recorded step of each run.

    Args:
        store: to be read.
        run_ids: of the runs.
        step: the nearest at or below it is read, of each run; the latest if None.

    Columns: run, step, layer, name, depth (0..1), term, other, cosine (in -1..1: below 0 they pull against each other;
    NaN = one of them is 0 or not finite).
    """
    at = [(run_id, _step_at_or_below(store, run_id, step)) for run_id in run_ids]
    chosen = [(TermCosineRow.run_id == r) & (TermCosineRow.step == s) for r, s in at if s is not None]
    return _cosines(store, or_(*chosen) if chosen else literal(False))


def cosine_series(store: Store, run_id: int, max_steps: int = 300) -> pd.DataFrame:
    """The same of a run over its recorded steps, thinned to at most max_steps. Columns as `term_cosines`."""
    return _cosines(store, (TermCosineRow.run_id == run_id) & _kept(store, run_id, max_steps, TermCosineRow))


def _step_at_or_below(store: Store, run_id: int, step: int | None) -> int | None:
    below = literal(True) if step is None else TermGradientRow.step <= step
    statement = select(TermGradientRow.step).where(TermGradientRow.run_id == run_id, below)
    with store.reader.connect() as connection:
        found = connection.execute(statement.order_by(TermGradientRow.step.desc()).limit(1)).scalar()
        return None if found is None else int(found)


def _kept(
    store: Store, run_id: int, max_steps: int, table: type[TermGradientRow] | type[TermCosineRow]
) -> ColumnElement[bool]:
    statement = select(TermGradientRow.step).where(TermGradientRow.run_id == run_id).distinct()
    with store.reader.connect() as connection:
        steps = [int(s) for (s,) in connection.execute(statement.order_by(TermGradientRow.step))]
    return table.step.in_(read.thinned(steps, max_steps)) if len(steps) > max_steps else literal(True)


def _gradients(store: Store, chosen: ColumnElement[bool]) -> pd.DataFrame:
    row = TermGradientRow
    statement = (
        select(row.run_id, row.step, row.layer, row.term, row.share, row.rms)
        .where(chosen)
        .order_by(row.run_id, row.step, row.layer, row.term)
    )
    columns = [name for name in TERM_COLUMNS if name not in {"name", "depth"}]
    return read.named(store, read.table_of(store, statement, columns, floats=("share", "rms")))[TERM_COLUMNS]


def _cosines(store: Store, chosen: ColumnElement[bool]) -> pd.DataFrame:
    row = TermCosineRow
    statement = (
        select(row.run_id, row.step, row.layer, row.term, row.other, row.cosine)
        .where(chosen)
        .order_by(row.run_id, row.step, row.layer, row.term, row.other)
    )
    columns = [name for name in COSINE_COLUMNS if name not in {"name", "depth"}]
    return read.named(store, read.table_of(store, statement, columns, floats=("cosine",)))[COSINE_COLUMNS]
