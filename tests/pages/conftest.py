"""Pages are tried on stores of every kind, without a browser; the queue is held, so that nothing is trained."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from stores import PAGES
from streamlit.testing.v1 import AppTest

from gradscope.jobs.lock import Lock
from gradscope.paths import STORE_VARIABLE
from gradscope.store import Store, open_store

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store that the dashboard shows, with its queue held by this test."""
    from gradscope.jobs.actions import supervisor_lock

    name = str(tmp_path / "runs.db")
    monkeypatch.setenv(STORE_VARIABLE, name)
    made = open_store(name, create=True)
    lock = Lock(supervisor_lock(name))
    assert lock.acquire()
    yield made
    lock.release()
    made.close()


@pytest.fixture
def page() -> Callable[..., AppTest]:
    """Runs a page alone, by its title, with an address."""

    def run(title: str, **address: str | list[str]) -> AppTest:
        test = AppTest.from_file(str(ROOT / PAGES[title]), default_timeout=60)
        for key, value in address.items():
            test.query_params[key] = value
        return test.run()

    return run


@pytest.fixture
def app() -> Callable[..., AppTest]:
    """Runs the whole dashboard and goes to a page."""

    def run(title: str, **address: str | list[str]) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        for key, value in address.items():
            test.query_params[key] = value
        return test.run().switch_page(PAGES[title]).run()

    return run
