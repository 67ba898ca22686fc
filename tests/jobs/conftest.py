import pytest

from gradscope.store import open_store


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "runs.db", create=True)
    yield store
    store.close()
