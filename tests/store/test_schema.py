"""The tables: what the migrations make is what the code expects, and what docs/schema.md says."""

import re
import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_mock_engine

from gradscope import histogram
from gradscope.distilled import Distilled
from gradscope.measured import Attribution, ExitPoint, ExitSweep, Part, RobustnessPoint
from gradscope.records import Batch, Gain, Kind, Metric, Pace, Results, SkippedStep, Status, TermCosine, TermGradient
from gradscope.store import header, schema, write, write_attributions, write_distilled, write_exits, write_robustness

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "schema.md").read_text()
TABLES = schema.Base.metadata.tables


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", DOC, flags=re.M | re.S)


def test_the_migrations_make_what_the_code_expects(store):
    with store.reader.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.Base.metadata) == []


def test_the_version_of_the_code_is_that_of_the_newest_migration():
    scripts = ScriptDirectory(str(ROOT / "gradscope" / "store" / "migrations"))
    assert scripts.get_heads() == [header.VERSION]


def test_the_tables_are_made_without_rowid_where_they_are_clustered(store):
    with store.reader.connect() as connection:
        made = dict(connection.exec_driver_sql("SELECT name, sql FROM sqlite_master WHERE type = 'table'").all())
    clustered = {name for name, sql in made.items() if "WITHOUT ROWID" in sql}
    assert clustered == {
        *("layers", "metrics", "layer_stats", "gains", "skipped_steps", "term_gradients", "term_cosines")
    }
    assert "AUTOINCREMENT" in made["runs"]


@pytest.mark.parametrize("url", ["postgresql+psycopg://", "sqlite://"])
def test_the_tables_can_be_said_in_both_dialects(url):
    said = []
    engine = create_mock_engine(url, lambda statement, *_: said.append(str(statement.compile(dialect=engine.dialect))))
    schema.Base.metadata.create_all(engine, checkfirst=False)
    assert len([s for s in said if "CREATE TABLE" in s]) == len(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_the_doc_describes_every_table_and_column(table):
    section = re.search(rf"^## `{table}`\n(.*?)(?=^## |\Z)", DOC, flags=re.M | re.S)
    assert section, f"docs/schema.md has no section of the table {table}"
    columns = section[1].partition("| kind |")[0]
    described = re.findall(r"^\| `(\w+)` \| ", columns, flags=re.M)
    assert described == [column.name for column in TABLES[table].columns]


def test_the_doc_names_the_schema_version():
    assert f"`{header.VERSION}`" in DOC


def attribution(run_id):
    return Attribution(
        run_id=run_id,
        fingerprint="abc",
        step=10,
        part=Part.MAPS,
        method='{"name":"grad_cam"}',
        target="predicted",
        places=(3, 1),
        file="grad_cam-0",
        refusal=None,
        seconds=0.5,
        created=datetime.now(UTC),
    )


def robustness_point():
    return RobustnessPoint(
        kind="gaussian_noise",
        level=0.5,
        seed=0,
        draws=1,
        images=2,
        step=10,
        fingerprint="f",
        accuracy=0.5,
        deviation=None,
        accuracies=(0.5,),
        per_class={"cat": 0.5},
        right=b"\x00\x01",
        device="cpu",
        settings={},
    )


def exit_point():
    return ExitPoint(
        exit=1,
        point=None,
        images=10,
        step=10,
        fingerprint="f",
        accuracy=0.5,
        loss=1.0,
        calibration_error=0.1,
        macs=100,
        macs_asking=100,
        parameters=10,
        milliseconds=0.1,
        batch_size=5,
        device="cpu",
    )


def exit_sweep():
    return ExitSweep(
        rule="confidence",
        threshold=0.5,
        images=10,
        step=10,
        fingerprint="f",
        accuracy=0.5,
        macs=80.5,
        milliseconds=0.1,
        left=(4, 6),
        batch_size=5,
        device="cpu",
    )


def student():
    return Distilled(
        fingerprint="f",
        teacher_fingerprint="t",
        images=10,
        step=4,
        teacher_run=None,
        agreement=0.9,
        divergences={"4": 0.1},
        accuracy=0.5,
        teacher_accuracy=0.75,
        parameters=10,
        teacher_parameters=40,
        macs=100,
        teacher_macs=400,
        milliseconds={"1": 0.5},
        teacher_milliseconds={"1": 2.0},
        device="cpu",
    )


@pytest.fixture
def lived_in(store, new_run, stats):
    """A store with a run in which everything has happened once."""
    run_id = new_run(layers=3, name="tanh")
    blob = histogram.encode(histogram.count(np.array([1.0, 1.0, 3.0, 1e-9])))
    for step in (0, 10):
        rows = tuple(stats(step, layer, rms=10.0**-layer, histogram=blob) for layer in range(3))
        metrics = (Metric(name="val_accuracy", step=step, value=0.5), Metric(name="train_loss", step=step, value=None))
        update = (stats(step, 0, Kind.UPDATE, rms=0.001), stats(step, 0, Kind.WEIGHT, rms=1.0))
        update += (stats(step, 0, Kind.RAW_GRADIENT, rms=2.0),)
        gains = (Gain(step=step, layer=1, method="pseudo_norm", gain=1.5, share_above_one=0.32),)
        skipped = (SkippedStep(step=step, layer=2, kind="gradient", scale=65536.0),)
        causes = tuple(
            TermGradient(step=step, layer=layer, term=term, share=share, rms=1.0)
            for layer in range(3)
            for term, share in (("label", 0.75), ("distillation", 0.25))
        )
        cosines = (TermCosine(step=step, layer=0, term="label", other="distillation", cosine=-0.5),)
        everything = Batch(stats=rows + update, metrics=metrics, gains=gains, skipped=skipped)
        write.append(store, run_id, replace(everything, term_gradients=causes, term_cosines=cosines))
    write.append(store, run_id, Batch(recorder_seconds=0.1, watched_seconds=10.0, pace=Pace(record_every=10)))
    write_attributions.add(store, attribution(run_id))
    write_robustness.point(store, run_id, robustness_point())
    write_distilled.distilled(store, run_id, student())
    write_exits.exits(store, run_id, [exit_point()], [exit_sweep()])
    write.results(store, run_id, Results(val_accuracy=0.5, test_accuracy=0.25))
    write.finish(store, run_id, Status.COMPLETED)
    connection = sqlite3.connect(f"file:{store.name}?mode=ro", uri=True)
    yield connection
    connection.close()


@pytest.mark.parametrize("query", blocks("sql"))
def test_every_query_of_the_doc_runs_and_finds_something(query, lived_in):
    assert lived_in.execute(query).fetchall() != []


def test_the_program_of_the_doc_decodes_every_histogram(lived_in, capsys):
    (program,) = blocks("python")
    names = {}
    exec(program.replace('"runs.db"', repr(lived_in.execute("PRAGMA database_list").fetchone()[2])), names)
    expected = histogram.count(np.array([1.0, 1.0, 3.0, 1e-9])).tolist()
    (blob,) = lived_in.execute("SELECT counts FROM layer_histograms LIMIT 1").fetchone()
    assert names["decode"](blob) == expected
    assert names["decode"](b"") == [0] * 640
    assert capsys.readouterr().out.splitlines()[-1].split() == ["2^1.5", "..", "2^2.0:", "1"]
