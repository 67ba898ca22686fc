"""Pages are tried on stores of every kind, without a browser; the queue is held, so that nothing is trained."""

import functools
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from stores import PAGES, fill
from streamlit.components.v2 import manifest_scanner
from streamlit.testing.v1 import AppTest

from gradscope.jobs.lock import Lock
from gradscope.paths import STORE_VARIABLE
from gradscope.store import Store, open_store

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 240
"""More than the 180 s that the workbench is given to begin."""

sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]


@pytest.fixture(scope="session", autouse=True)
def scanned_once() -> Iterator[None]:
    """AppTest reads the metadata of all installed packages for every page, longer than the page itself takes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            manifest_scanner, "scan_component_manifests", functools.cache(manifest_scanner.scan_component_manifests)
        )
        yield


@pytest.fixture(scope="session")
def thirty_runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of thirty runs of every kind, of two steps each; to be copied."""
    path = tmp_path_factory.mktemp("thirty") / "runs.db"
    made = open_store(path, create=True)
    fill(made, 30, [0, 1])
    made.close()
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """An empty store that the dashboard shows, with its queue held by this test."""
    with shown_and_held(tmp_path / "runs.db", monkeypatch) as made:
        yield made


@pytest.fixture
def full_store(thirty_runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The same of thirty runs."""
    shutil.copytree(thirty_runs.parent, tmp_path, dirs_exist_ok=True)
    with shown_and_held(tmp_path / "runs.db", monkeypatch) as made:
        yield made


@contextmanager
def shown_and_held(path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    from gradscope.jobs.actions import supervisor_lock

    monkeypatch.setenv(STORE_VARIABLE, str(path))
    made = open_store(path, create=True)
    lock = Lock(supervisor_lock(str(path)))
    assert lock.acquire()
    yield made
    lock.release()
    made.close()


@pytest.fixture
def page() -> Callable[..., AppTest]:
    """Runs a page alone, by its title, with an address."""

    def run(title: str, **address: str | list[str]) -> AppTest:
        test = AppTest.from_file(str(ROOT / PAGES[title]), default_timeout=PATIENCE_SECONDS)
        for key, value in address.items():
            test.query_params[key] = value
        return test.run()

    return run


@pytest.fixture
def app() -> Callable[..., AppTest]:
    """Runs the whole dashboard and goes to a page."""

    def run(title: str, **address: str | list[str]) -> AppTest:
        test = AppTest.from_file(str(ROOT / "app.py"), default_timeout=PATIENCE_SECONDS)
        for key, value in address.items():
            test.query_params[key] = value
        return test.run().switch_page(PAGES[title]).run()

    return run
