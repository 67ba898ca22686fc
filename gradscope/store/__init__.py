"""The store: where the training side writes and the dashboard side reads. SQLite in WAL mode, or PostgreSQL by URL."""

from gradscope.store.engine import Store, migrate, open_store, sqlite_version

__all__ = ["Store", "migrate", "open_store", "sqlite_version"]
