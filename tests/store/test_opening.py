"""Opening a store: made on first use, refused with one sentence, and what is refused is left as it was, to the byte."""

import hashlib
import os
import sqlite3
import tempfile
from pathlib import Path

import pytest
from sqlalchemy import text

from gradscope.errors import (
    StoreDamaged,
    StoreError,
    StoreForeign,
    StoreOutdated,
    StoreTooNew,
)
from gradscope.records import Batch, Status
from gradscope.store import Store, header, open_store, read, sqlite_version, write


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def rest(store):
    """Close the store: the last connection to leave folds the log into the file."""
    store.close()
    assert [p.name for p in Path(store.name).parent.iterdir()] == [Path(store.name).name]


def test_a_store_is_made_on_first_use_and_kept(tmp_path):
    path = tmp_path / "runs.db"
    first = open_store(path, create=True)
    run_id = write.create_run(first, name="a", source="train", config={}, status=Status.QUEUED)
    first.close()
    assert read.run(open_store(path), run_id).name == "a"
    assert read.run(open_store(path, create=True), run_id).name == "a"


def test_a_missing_store_is_not_made_by_reading(tmp_path):
    with pytest.raises(StoreError, match=r"there is no store at .*runs\.db; start a run to make it, or name another"):
        open_store(tmp_path / "runs.db")
    assert list(tmp_path.iterdir()) == []


def test_the_environment_names_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_STORE", str(tmp_path / "mine.db"))
    assert open_store(create=True).name == str(tmp_path / "mine.db")
    monkeypatch.delenv("GRADSCOPE_STORE")
    monkeypatch.chdir(tmp_path)
    open_store(create=True)
    assert (tmp_path / "runs.db").exists()


def test_a_store_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"the folder of the store .* does not exist; make it, or name another"):
        open_store(tmp_path / "no" / "runs.db", create=True)


def test_a_store_is_in_wal_mode_and_carries_our_mark(store):
    with store.reader.connect() as connection:
        pragma = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "application_id", "query_only", "busy_timeout")
        }
        assert pragma == {
            "journal_mode": "wal",
            "application_id": int.from_bytes(b"GrdS", "big"),
            "query_only": 1,
            "busy_timeout": 5000,
        }
    with store.writer.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar() == 1
        assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 10_000


def test_the_newer_sqlite_is_used():
    assert tuple(map(int, sqlite_version().split("."))) >= sqlite3.sqlite_version_info


def test_an_empty_file_becomes_a_store_only_if_one_may_be_made(tmp_path):
    path = tmp_path / "runs.db"
    path.touch()
    with pytest.raises(StoreForeign, match="is not a GradScope store"):
        open_store(path)
    assert path.read_bytes() == b""
    assert read.runs(open_store(path, create=True)) == []


@pytest.fixture
def refused(tmp_path):
    """Files that are no usable store: each made anew, with the error and a part of its sentence."""

    def make(kind):
        path = tmp_path / "runs.db"
        error, sentence = MAKERS[kind](path)
        return path, error, sentence

    return make


def _text(path):
    path.write_text("milk, bread\n" * 100)
    return StoreForeign, "is not a GradScope store (not a SQLite file) and was left as it is; name another with --store"


def _foreign(path):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (id INTEGER)")
    connection.close()
    return StoreForeign, "is a SQLite database of another program and was left as it is"


def _truncated(path):
    rest(open_store(path, create=True))
    os.truncate(path, path.stat().st_size - 5000)
    return StoreDamaged, "is truncated and was left as it is; restore a copy"


def _header_only(path):
    rest(open_store(path, create=True))
    os.truncate(path, 60)
    return StoreDamaged, "is truncated"


def _garbled(path):
    rest(open_store(path, create=True))
    with path.open("r+b") as file:
        file.seek(100)
        file.write(b"\xff" * (path.stat().st_size - 100))
    return StoreDamaged, "cannot be read"


def _versioned(path, version):
    store = open_store(path, create=True)
    with store.writer.begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{version}'"))
    rest(store)


def _newer(path):
    _versioned(path, "9999")
    return StoreTooNew, f"newer GradScope (schema 9999, this one knows {header.VERSION}); update GradScope"


def _older(path):
    _versioned(path, "0000")
    return (
        StoreOutdated,
        f"older GradScope (schema 0000, this one needs {header.VERSION}); run `gradscope migrate --store ",
    )


def _emptied(path):
    store = open_store(path, create=True)
    with store.writer.begin() as connection:
        connection.execute(text("DROP TABLE alembic_version"))
    rest(store)
    return StoreDamaged, "has lost its tables"


def _folder(path):
    path.mkdir()
    return StoreForeign, "is a folder, not a store"


MAKERS = {
    "text": _text,
    "foreign": _foreign,
    "truncated": _truncated,
    "header only": _header_only,
    "garbled": _garbled,
    "newer": _newer,
    "older": _older,
    "emptied": _emptied,
    "folder": _folder,
}


@pytest.mark.parametrize("create", [False, True])
@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_no_usable_store_is_refused_and_left_as_it_was(kind, create, refused):
    path, error, sentence = refused(kind)
    before = None if path.is_dir() else sha256(path)
    with pytest.raises(error) as caught:
        open_store(path, create=create)
    assert sentence in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    if before is not None:
        assert sha256(path) == before
    assert [p.name for p in path.parent.iterdir()] == ["runs.db"]


AS_NOBODY = """
    import os, sys
    from gradscope.errors import StoreError
    from gradscope.records import Status
    from gradscope.store import open_store, read, write
    os.umask(0)
    os.setgid(65534)
    os.setuid(65534)
"""


@pytest.fixture
def open_to_all(tmp_path):
    """A folder that another user may enter."""
    if os.name != "posix" or os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


READS_BUT_CANNOT_WRITE = (
    AS_NOBODY
    + """
    store = open_store(sys.argv[1])
    print(store.read_only, [r.name for r in read.runs(store)])
    try:
        write.create_run(store, name="b", source="train", config={}, status=Status.QUEUED)
    except StoreError as error:
        print(type(error).__name__, error)
"""
)


def test_a_read_only_store_is_read_but_not_written(open_to_all, python):
    path = open_to_all / "runs.db"
    store = open_store(path, create=True)
    write.create_run(store, name="a", source="train", config={}, status=Status.QUEUED)
    rest(store)
    before = sha256(path)
    out, err = python(READS_BUT_CANNOT_WRITE, path).communicate()
    assert err == ""
    first, second = out.splitlines()
    assert first == "True ['a']"
    assert second.startswith(f"StoreReadOnly {path} may be read but not written; give yourself write access")
    assert sha256(path) == before


def test_a_read_only_store_that_is_being_written_shows_what_was_written_last(open_to_all, python):
    path = open_to_all / "runs.db"
    store = open_store(path, create=True)
    for name in "abc":  # stays in the log, which nobody folds in as long as the store is open
        write.create_run(store, name=name, source="train", config={}, status=Status.QUEUED)
    out, err = python(READS_BUT_CANNOT_WRITE, path).communicate()
    assert err == ""
    assert out.splitlines()[0] == "True ['c', 'b', 'a']"
    store.close()


def test_a_store_that_may_not_be_read_is_said_so(open_to_all, python):
    path = open_to_all / "runs.db"
    rest(open_store(path, create=True))
    path.chmod(0o600)
    program = AS_NOBODY + "\n    try:\n        open_store(sys.argv[1])\n    except StoreError as e:\n        print(e)"
    out, _ = python(program, path).communicate()
    assert out.startswith(f"{path} may not be read; give yourself access")


def test_a_store_cannot_be_made_in_a_folder_that_may_not_be_written(open_to_all, python):
    program = AS_NOBODY + (
        "\n    try:\n        open_store(sys.argv[1], create=True)\n    except StoreError as e:\n"
        "        print(type(e).__name__, e)"
    )
    out, _ = python(program, open_to_all / "runs.db").communicate()
    assert out.startswith("StoreReadOnly the store ")
    assert "cannot be made" in out
    assert list(open_to_all.iterdir()) == []


def test_several_processes_may_make_a_store_at_once(tmp_path, python):
    program = """
        import sys
        from gradscope.records import Status
        from gradscope.store import open_store, write
        store = open_store(sys.argv[1], create=True)
        print(write.create_run(store, name="r", source="train", config={}, status=Status.QUEUED))
    """
    path = tmp_path / "runs.db"
    makers = [python(program, path) for _ in range(4)]
    results = [maker.communicate() for maker in makers]
    assert [err for _, err in results] == [""] * 4
    assert sorted(int(out) for out, _ in results) == [1, 2, 3, 4]
    assert len(read.runs(open_store(path))) == 4


def test_a_store_that_is_deleted_while_it_is_written_is_missed_and_not_made_anew(store, new_run, tmp_path):
    run_id = new_run()
    (tmp_path / "runs.db").unlink()
    with pytest.raises(StoreError, match=rf"the store .* was deleted while run {run_id} wrote to it"):
        write.append(store, run_id, Batch())
    assert not (tmp_path / "runs.db").exists()


def test_a_url_of_sqlite_is_as_good_as_a_path(tmp_path):
    url = f"sqlite:///{tmp_path}/runs.db"
    with pytest.raises(StoreError, match=r"cannot be read|holds no GradScope tables yet"):
        open_store(url)
    open_store(tmp_path / "runs.db", create=True)
    assert read.runs(open_store(url)) == []


@pytest.mark.parametrize("url", ["nonsense://x", "mysql://localhost/x", "postgresql+psycopg://localhost:1/x"])
def test_a_url_that_leads_nowhere_is_one_sentence(url):
    with pytest.raises(StoreError) as caught:
        open_store(url)
    assert "\n" not in str(caught.value)


def test_a_password_in_the_url_is_never_shown():
    with pytest.raises(StoreError) as error:
        open_store("nosuchdatabase://user:secret@127.0.0.1/x")
    assert "secret" not in str(error.value)
    assert Store("postgresql://user:secret@host/x").shown == "postgresql://user:***@host/x"


def test_a_header_alone_tells_a_store_of_this_version(tmp_path):
    path = tmp_path / "runs.db"
    open_store(path, create=True).close()
    assert header.is_current(path)
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {int(header.VERSION) - 1}")
    connection.close()
    assert not header.is_current(path)


@pytest.mark.parametrize("content", [None, b"", b"milk", b"SQLite format 3\x00" + bytes(84)])
def test_a_header_in_doubt_is_left_to_the_database(content, tmp_path):
    path = tmp_path / "runs.db"
    if content is not None:
        path.write_bytes(content)
    assert not header.is_current(path)
