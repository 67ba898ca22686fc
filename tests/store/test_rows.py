"""Statements for many rows at once, in both dialects."""

import pytest

from gradscope.records import Kind, Metric
from gradscope.store import read, rows
from gradscope.store.schema import HistogramRow, MetricRow, StatsRow


@pytest.mark.parametrize(
    ("table", "key"),
    [
        (MetricRow, "run_id, name, step"),
        (StatsRow, "run_id, step, layer, kind"),
        (HistogramRow, "run_id, layer, kind, step"),
    ],
)
def test_postgresql_replaces_the_row_with_the_same_key(table, key):
    said = rows._upsert("postgresql", table)
    places = len(rows._columns(table))
    assert said.count("%s") == places
    assert f"ON CONFLICT ({key}) DO UPDATE SET" in said
    assert said.count("excluded.") == places - len(key.split(", "))


def test_sqlite_replaces_the_row_with_the_same_key():
    said = rows._upsert("sqlite", MetricRow)
    assert said == (
        "INSERT OR REPLACE INTO metrics (run_id, name, step, value, epoch, seconds) VALUES (?, ?, ?, ?, ?, ?)"
    )


def test_every_column_takes_the_records_own_value(store, new_run, stats):
    run_id = new_run(layers=1)
    record = stats(3, n=9, zeros=1, nan=2, pos_inf=3, neg_inf=4, saturated=0.5, dead=0.25, kind=Kind.ACTIVATION)
    with store.writer.begin() as connection:
        rows.put(connection, StatsRow, run_id, [record])
        rows.put(connection, MetricRow, run_id, [Metric(name="a", step=1, value=None, epoch=2.0, seconds=3.0)])
        rows.put(connection, MetricRow, run_id, [])
    (found,) = read.profile(store, [run_id], Kind.ACTIVATION).to_dict("records")
    numbers = ("n", "rms", "mean_abs", "max_abs", "zeros", "nan", "pos_inf", "neg_inf", "saturated", "dead")
    assert [found[name] for name in numbers] == [9, 0.5, 0.25, 1.0, 1, 2, 3, 4, 0.5, 0.25]
    (point,) = read.metrics(store, [run_id]).fillna(-1).to_dict("records")
    assert point == {"run": run_id, "name": "a", "step": 1, "epoch": 2.0, "value": -1, "seconds": 3.0}
