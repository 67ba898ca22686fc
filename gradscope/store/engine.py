"""Opening a store: looks before it touches, so that a file that is none of ours is never changed."""

import os
import sqlite3
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from sqlalchemy import Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from gradscope.errors import (
    StoreDamaged,
    StoreError,
    StoreOutdated,
    StoreReadOnly,
    StoreTooNew,
)
from gradscope.paths import RunPaths, is_url, shown, store_name
from gradscope.store import header

WRITER_PATIENCE_MS = 10_000
READER_PATIENCE_MS = 5_000


def sqlite_module() -> ModuleType:
    """The newer of Python's own SQLite and the bundled one.

    SQLite before 3.51.3 can corrupt a WAL database when two connections write and checkpoint at the same moment
    (sqlite.org/wal.html#walresetbug); many Pythons still carry 3.40.
    """
    try:
        import pysqlite3
    except ImportError:  # no wheel for this platform: Python's own serves
        return sqlite3
    bundled: ModuleType = pysqlite3.dbapi2
    return bundled if bundled.sqlite_version_info > sqlite3.sqlite_version_info else sqlite3


def sqlite_version() -> str:
    """Version of the SQLite in use, such as 3.53.4."""
    return str(sqlite_module().sqlite_version)


@dataclass(frozen=True)
class Store:
    """A store that was found usable. Engines are made when first asked for; make a new Store in a new process."""

    name: str
    """Path or URL, as given."""
    read_only: bool = False
    """The file or its folder may not be written: reading works, writing raises StoreReadOnly."""

    @property
    def shown(self) -> str:
        """The name for people: without a password."""
        return shown(self.name)

    def paths(self, run_id: int) -> RunPaths:
        """Where the run's files lie."""
        return RunPaths.of(self.name, run_id)

    @cached_property
    def reader(self) -> Engine:
        """For SELECTs only; never blocks a writer and is never blocked by one."""
        if self.read_only:
            return _unwritable(Path(self.name).absolute())
        return _engine(self.name, READER_PATIENCE_MS, writes=False)

    @cached_property
    def writer(self) -> Engine:
        """For transactions that write; each begins with the write lock (BEGIN IMMEDIATE)."""
        if self.read_only:
            raise StoreReadOnly(
                f"{self.name} may be read but not written; give yourself write access, or use --store PATH"
            )
        return _engine(self.name, WRITER_PATIENCE_MS, writes=True)

    def close(self) -> None:
        """Give back every connection."""
        for name in ("reader", "writer"):
            if name in self.__dict__:
                self.__dict__[name].dispose()


def open_store(given: str | os.PathLike[str] | None = None, *, create: bool = False) -> Store:
    """The store of that path or URL (default: `GRADSCOPE_STORE`, else `runs.db`), checked.

    Args:
        given: path of a SQLite file, or the URL of a database.
        create: make the store if it is missing.

    Raises:
        StoreError: missing and not to be created, foreign, damaged, outdated, too new or unreachable; the message says
            which and what to do. A file that is refused is left as it was, to the byte.
    """
    name = store_name(given)
    if is_url(name):
        return _open_url(name, create)
    path = Path(name)
    if not path.exists() or (create and path.is_file() and path.stat().st_size == 0):
        return _create_file(path, create)
    header.check(path)
    store = Store(name, read_only=not (os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)))
    _check_version(store)
    return store


def _open_url(url: str, create: bool) -> Store:
    try:
        make_url(url)
    except ArgumentError as error:
        raise StoreError(
            f"store {shown(url)!r} is no database URL; write a path, or such as postgresql+psycopg://HOST/NAME"
        ) from error
    store = Store(url)
    if _version_of(store) is None:
        if not create:
            raise StoreError(f"the database {shown(url)} holds no GradScope tables yet; start a run to make them")
        migrate(store)
    _check_version(store)
    return store


def _create_file(path: Path, create: bool) -> Store:
    if not create:
        raise StoreError(f"there is no store at {path}; start a run to make it, or name another with --store PATH")
    if not path.absolute().parent.is_dir():
        raise StoreError(f"the folder of the store {path} does not exist; make it, or name another with --store PATH")
    store = Store(str(path))
    try:
        path.touch()
        migrate(store)
    except (OSError, DatabaseError) as error:
        raise StoreReadOnly(f"the store {path} cannot be made ({error}); name another with --store PATH") from error
    return store


def _version_of(store: Store) -> str | None:
    """Schema version written in the store; None where it has no tables of ours."""
    try:
        with store.reader.connect() as connection:
            if not inspect(connection).has_table("alembic_version"):
                return None
            version = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
            return None if version is None else str(version)
    except ModuleNotFoundError as error:
        raise StoreError(f"the store {store.shown} needs the package {error.name}; install it") from error
    except SQLAlchemyError as error:
        cause = getattr(error, "orig", None) or error
        raise StoreDamaged(
            f"the store {store.shown} cannot be read ({cause}); restore a copy, or name another with --store PATH"
        ) from error


def _check_version(store: Store) -> None:
    try:
        _compare_versions(store, _version_of(store))
    except StoreError:
        store.close()  # a connection that stays would keep a log beside a file that is to be left as it was
        raise


def _compare_versions(store: Store, version: str | None) -> None:
    if version is None:
        raise StoreDamaged(
            f"the store {store.shown} has lost its tables; restore a copy, or name another with --store PATH"
        )
    if version > header.VERSION:
        raise StoreTooNew(
            f"the store {store.shown} was written by a newer GradScope (schema {version}, this one knows "
            f"{header.VERSION}); update GradScope, or name another with --store PATH"
        )
    if version < header.VERSION:
        raise StoreOutdated(
            f"the store {store.shown} was written by an older GradScope (schema {version}, this one needs "
            f"{header.VERSION}); run `gradscope migrate --store {store.shown}`, which keeps a copy"
        )


def migrate(store: Store) -> None:
    """Bring the store's tables up to date, or make them; safe when several processes do it at once."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with store.writer.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, header.VERSION)
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql(f"PRAGMA application_id = {header.APPLICATION_ID}")
            connection.exec_driver_sql(f"PRAGMA user_version = {int(header.VERSION)}")
    if store.writer.dialect.name == "sqlite":
        _switch_to_wal(store.writer)


def _switch_to_wal(engine: Engine) -> None:
    """Readers and one writer at once, from now on and for ever: the mode is kept in the file."""
    raw = engine.raw_connection()
    try:
        raw.cursor().execute("PRAGMA journal_mode = WAL")
    finally:
        raw.close()


def _engine(name: str, patience_ms: int, *, writes: bool) -> Engine:
    if is_url(name) and make_url(name).get_backend_name() != "sqlite":
        return create_engine(name, pool_pre_ping=True)
    file = Path(make_url(name).database or "" if is_url(name) else name).absolute()
    # never rwc: a store that was deleted must be missed, not made anew and empty
    address = f"sqlite+pysqlite:///{file.as_uri()}?mode=rw&uri=true"
    engine = create_engine(address, module=sqlite_module(), connect_args={"timeout": patience_ms / 1000})
    event.listen(engine, "connect", _on_connect_writer if writes else _on_connect_reader)
    event.listen(engine, "begin", _begin_immediate if writes else _begin)
    return engine


def _unwritable(file: Path) -> Engine:
    """For a file that we may only read: as it is, unless somebody who may write has it open and keeps a log beside it.

    Without write access SQLite cannot make the log's index; it does without log and locks if told that nobody writes
    (immutable=1). Whether that is so is found out at each connection, so none is kept.
    """
    driver = sqlite_module()

    def connect() -> DBAPIConnection:
        log = file.with_name(f"{file.name}-wal")
        mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
        connection: DBAPIConnection = driver.connect(f"{file.as_uri()}?{mode}", uri=True, check_same_thread=False)
        return connection

    engine = create_engine("sqlite+pysqlite://", creator=connect, module=driver, poolclass=NullPool)
    event.listen(engine, "connect", _on_connect_reader)
    event.listen(engine, "begin", _begin)
    return engine


def _on_connect_writer(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _pragmas(connection, "synchronous = NORMAL", "foreign_keys = ON")


def _on_connect_reader(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    _pragmas(connection, "query_only = ON")


def _pragmas(connection: DBAPIConnection, *assignments: str) -> None:
    # autocommit mode: SQLAlchemy's begin event, and not the driver, then says when and how a transaction starts
    connection.isolation_level = None
    cursor = connection.cursor()
    for assignment in assignments:
        cursor.execute(f"PRAGMA {assignment}")
    cursor.close()


def _begin_immediate(connection: object) -> None:
    connection.exec_driver_sql("BEGIN IMMEDIATE")  # type: ignore[attr-defined]  # the event's untyped Connection


def _begin(connection: object) -> None:
    connection.exec_driver_sql("BEGIN")  # type: ignore[attr-defined]  # the event's untyped Connection
