"""A store of its own for every test, and no run left over from another."""

import pytest

from gradscope.recorder import current


@pytest.fixture(autouse=True)
def no_current_run(monkeypatch):
    monkeypatch.delenv(current.MODE_VARIABLE, raising=False)
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setattr(current._Current, "session", None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "runs.db"
