"""Rows by the hundred: the statement is worded once, and the driver is handed plain tuples.

SQLAlchemy builds a dictionary and several lists for every row it inserts, which costs more than SQLite's own work.
"""

from collections.abc import Callable, Iterable
from functools import cache
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, Insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase

_ATTRIBUTES = {
    ("layer_stats", "kind"): "kind.value",
    ("layer_histograms", "kind"): "kind.value",
    ("layer_histograms", "counts"): "histogram",
}
"""Of a record, where it is not called as the column is. The driver is slow to take an enum's member for its text."""

_NATURAL_KEYS = {"layer_histograms": ["run_id", "layer", "kind", "step"]}
"""What makes a row one of its kind, where that is not the primary key."""


def put(connection: Connection, table: type[DeclarativeBase], run_id: int, records: Iterable[object]) -> None:
    """Insert one row of the run for each record; one that is there already is replaced.

    Args:
        connection: in a transaction.
        table: has `run_id`, perhaps a number `id` of its own, and else columns that are attributes of the records.
        run_id: the run.
        records: such as `LayerStats` or `Metric`.
    """
    values = _values_of(table)
    rows = [(run_id, *values(record)) for record in records]
    if rows:
        connection.exec_driver_sql(_upsert(connection.dialect.name, table), rows)


def _columns(table: type[DeclarativeBase]) -> list[str]:
    return [column.name for column in table.__table__.columns if column.name != "id"]


@cache
def _values_of(table: type[DeclarativeBase]) -> Callable[[object], tuple[Any, ...]]:  # Any: of as many types as columns
    own = [name for name in _columns(table) if name != "run_id"]
    return attrgetter(*(_ATTRIBUTES.get((table.__tablename__, name), name) for name in own))


@cache
def _upsert(database: str, table: type[DeclarativeBase]) -> str:
    """INSERT, or replace, with one place for each of `_columns`, `run_id` first."""
    statement, dialect = _for_sqlite(table) if database == "sqlite" else _for_postgresql(table)
    return str(statement.compile(dialect=dialect, column_keys=_columns(table)))


def _for_sqlite(table: type[DeclarativeBase]) -> tuple[Insert, Dialect]:
    return sqlite.insert(table).prefix_with("OR REPLACE"), sqlite.dialect(paramstyle="qmark")


def _for_postgresql(table: type[DeclarativeBase]) -> tuple[Insert, Dialect]:
    from sqlalchemy.dialects import postgresql  # takes as long to import as SQLAlchemy's core
    from sqlalchemy.dialects.postgresql import psycopg

    statement = postgresql.insert(table)
    primary = [column.name for column in table.__table__.primary_key]
    key = _NATURAL_KEYS.get(table.__tablename__, primary)
    new = {column: statement.excluded[column] for column in _columns(table) if column not in key}
    whole = statement.on_conflict_do_update(index_elements=key, set_=new)
    return whole, psycopg.dialect(paramstyle="format")  # type: ignore[no-untyped-call]  # untyped in SQLAlchemy
