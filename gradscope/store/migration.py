"""Bringing the store of an older GradScope up to date, with a copy kept."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from gradscope.errors import StoreError, StoreOutdated, StoreReadOnly
from gradscope.paths import is_url, store_name
from gradscope.store import header
from gradscope.store.engine import Store, migrate, open_store, sqlite_module


def upgrade(given: str | os.PathLike[str] | None = None) -> Path | None:
    """Bring a store up to date.

    A SQLite file is copied first, to such as `runs.db.before-0002`; a server's database is the care of whoever backs it
    up. The migration is one transaction: when it fails, the store is as it was.

    Returns:
        The copy. None where the store was up to date, or is no file.

    Raises:
        StoreError: it cannot be opened for another reason, cannot be written, or its schema is unknown here.
    """
    name = store_name(given)
    try:
        open_store(name).close()
    except StoreOutdated:
        return _upgrade(name)
    return None


def _upgrade(name: str) -> Path | None:
    from alembic.util import CommandError

    copy = None if is_url(name) else _copy(Path(name))
    store = Store(name)
    try:
        migrate(store)
    except CommandError as error:
        if copy:
            copy.unlink()
        raise StoreError(f"the store {name} cannot be brought up to date ({error}); it was left as it is") from error
    finally:
        store.close()
    return copy


def _copy(path: Path) -> Path:
    """A copy as the database sees itself, with what is still in its log."""
    if not (os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)):
        raise StoreReadOnly(f"{path} may be read but not written; give yourself write access to migrate it")
    copy = _unused(path.with_name(f"{path.name}.before-{header.VERSION}"))
    driver = sqlite_module()
    with closing(driver.connect(path)) as source, closing(driver.connect(copy)) as target:
        try:
            source.backup(target)
        except (sqlite3.Error, driver.Error) as error:
            copy.unlink(missing_ok=True)
            raise StoreError(f"the store {path} cannot be copied to {copy} ({error}) and was left as it is") from error
    return copy


def _unused(path: Path) -> Path:
    number = 1
    found = path
    while found.exists():
        number += 1
        found = path.with_name(f"{path.name}-{number}")
    return found
