"""The store: where the training side writes and the dashboard side reads. SQLite in WAL mode, or PostgreSQL by URL.

Nothing is imported before it is used: `gradscope ui` looks at a file's header long before it needs SQLAlchemy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradscope.store.engine import Store, migrate, open_store, sqlite_version

__all__ = ["Store", "migrate", "open_store", "sqlite_version"]


def __getattr__(name: str) -> Any:  # Any: as many types as there are names
    if name not in __all__:
        raise AttributeError(f"module 'gradscope.store' has no attribute {name!r}")
    from gradscope.store import engine

    return getattr(engine, name)
