"""Bringing an older store up to date, by a newer GradScope: a copy of this one with one more step."""

import hashlib
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text

from gradscope.errors import StoreError, StoreForeign
from gradscope.records import Status
from gradscope.store import header, open_store, read, write
from gradscope.store.migration import upgrade

PACKAGE = Path(__file__).parents[2] / "gradscope"
NEXT = """
import sqlalchemy as sa
from alembic import op

revision = "9000"
down_revision = "{before}"


def upgrade() -> None:
    op.add_column("runs", sa.Column("mood", sa.String()))
    {more}
"""


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def newer(tmp_path):
    """Runs the command of a GradScope whose schema is one step ahead."""

    def run(*words, more="pass"):
        folder = tmp_path / "newer"
        shutil.copytree(PACKAGE, folder / "gradscope", ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
        source = folder / "gradscope" / "store" / "header.py"
        code = source.read_text().replace(f'VERSION = "{header.VERSION}"', 'VERSION = "9000"')
        source.write_text(code)
        step = folder / "gradscope" / "store" / "migrations" / "versions" / "9000_next.py"
        step.write_text(NEXT.format(before=header.VERSION, more=more))
        command = [sys.executable, "-m", "gradscope", *map(str, words)]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def old(tmp_path):
    """A store of this GradScope, with a run, at rest."""
    path = tmp_path / "runs.db"
    store = open_store(path, create=True)
    write.create_run(store, name="kept", source="train", config={}, status=Status.COMPLETED)
    store.close()
    return path


def columns(path):
    with sqlite3.connect(path) as connection:
        found = [row[1] for row in connection.execute("PRAGMA table_info(runs)")]
    connection.close()
    return found


def test_an_older_store_is_refused_then_migrated_with_a_copy(old, newer):
    before = sha256(old)
    refused = newer("runs", "--store", old)
    assert refused.returncode == 2
    assert f"run `gradscope migrate --store {old}`, which keeps a copy" in refused.stderr
    assert sha256(old) == before

    done = newer("migrate", "--store", old)
    copy = old.with_name("runs.db.before-9000")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{old} is up to date; the old one is kept as {copy}\n"
    assert "mood" in columns(old)
    assert "mood" not in columns(copy)
    assert [r.name for r in read.runs(open_store(copy))] == ["kept"]
    assert newer("runs", "--store", old).returncode == 0
    assert newer("migrate", "--store", old).stdout == f"{old} is up to date\n"


def test_a_copy_that_is_there_is_not_overwritten(old, newer):
    earlier = old.with_name("runs.db.before-9000")
    earlier.write_text("precious")
    assert newer("migrate", "--store", old).returncode == 0
    assert earlier.read_text() == "precious"
    assert open_store(old.with_name("runs.db.before-9000-2"))


def test_what_still_lies_in_the_log_is_copied_too(old, newer):
    store = open_store(old)
    write.create_run(store, name="recent", source="train", config={}, status=Status.COMPLETED)
    assert old.with_name("runs.db-wal").stat().st_size > 0
    assert newer("migrate", "--store", old).returncode == 0
    store.close()
    assert [r.name for r in read.runs(open_store(old.with_name("runs.db.before-9000")))] == ["recent", "kept"]


def test_a_migration_that_fails_leaves_the_store_as_it_was(old, newer):
    done = newer("migrate", "--store", old, more='op.execute("SELECT * FROM nowhere")')
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert "mood" not in columns(old)
    assert [r.name for r in read.runs(open_store(old))] == ["kept"]


def test_a_store_of_an_unknown_past_is_left_as_it_is(old):
    store = open_store(old)
    with store.writer.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '0000'"))
    store.close()
    before = sha256(old)
    with pytest.raises(StoreError, match=r"cannot be brought up to date .* it was left as it is"):
        upgrade(old)
    assert sha256(old) == before
    assert [p.name for p in old.parent.iterdir()] == ["runs.db"]


def test_what_is_no_store_is_not_migrated(tmp_path):
    notes = tmp_path / "notes.txt"
    notes.write_text("milk")
    with pytest.raises(StoreForeign):
        upgrade(notes)
    assert notes.read_text() == "milk"


def test_a_store_that_is_up_to_date_needs_no_copy(old):
    assert upgrade(old) is None
    assert [p.name for p in old.parent.iterdir()] == ["runs.db"]
