"""A real browser, a real dashboard, real runs. Without Chromium these tests are skipped."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from chromium import CHROMIUM, FLAGS
from driven import PATIENCE_SECONDS, TRAINED, Dashboard, NewPage
from playwright.sync_api import Browser, ConsoleMessage, Page, expect, sync_playwright

from gradscope.jobs import create
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.records import Status
from gradscope.store import Store, open_store

sys.path.append(str(Path(__file__).parents[1] / "pages"))  # its stores


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium on the PATH (chromium, chromium-browser or google-chrome): `apt-get install chromium`")
    expect.set_options(timeout=PATIENCE_SECONDS * 1000)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def new_page(browser: Browser, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NewPage]:
    """Opens a page in a window of its own that remembers nothing; at the end none may have complained."""
    pages: list[Page] = []
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        # Streamlit asks below the page's address first, and is sent to the root
        looked_for = "/_stcore/" in message.location["url"]
        if message.type == "error" and not looked_for:
            complaints.append(f"{message.text} ({message.location['url']})")

    def open_page(color_scheme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme=color_scheme)
        page = context.new_page()
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        page.on("console", listen)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        pages.append(page)
        return page

    yield open_page
    if getattr(request.node, "failed", False):
        _keep_pictures(request, pages, tmp_path)
    for page in pages:
        page.context.close()
    assert complaints == [], "the browser's console"


@pytest.fixture
def page(new_page: NewPage) -> Page:
    return new_page()


def _keep_pictures(request: pytest.FixtureRequest, pages: list[Page], folder: Path) -> None:
    for i, page in enumerate(p for p in pages if not p.is_closed()):
        path = folder / f"failed-{i}.png"
        page.screenshot(path=path)
        request.node.add_report_section("call", "screenshot", f"{path}\n{page.url}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    report = yield
    if report.when == "call" and report.failed:
        item.failed = True
    return report


@pytest.fixture
def dashboard(browser: Browser, tmp_path: Path) -> Iterator[Dashboard]:
    """Of an empty store; not open yet."""
    made = Dashboard(tmp_path / "runs.db")
    yield made
    made.end()


@pytest.fixture
def store(dashboard: Dashboard) -> Iterator[Store]:
    """What the dashboard shows."""
    opened = open_store(dashboard.store, create=True)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of finished runs, small and real."""
    from gradscope.train import train

    folder = tmp_path_factory.mktemp("trained")
    store = open_store(folder / "runs.db", create=True)
    small = {"model.depth": 5, "model.width": 16, "data.limit": 200, "train.epochs": 2, "train.device": "cpu"}
    for preset in TRAINED:
        run_id = create(store, with_overrides(PRESETS[preset].config, small), preset, status=Status.RUNNING)
        assert train(store, run_id) is Status.COMPLETED
    store.close()
    return folder


@pytest.fixture(scope="session")
def gallery(trained: Path) -> Iterator[Dashboard]:
    """The dashboard of the finished runs, open; for tests that only look."""
    made = Dashboard(trained / "runs.db")
    made.open()
    yield made
    made.end()


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The dashboard of a store without runs, open; for tests that start none."""
    made = Dashboard(tmp_path_factory.mktemp("empty") / "runs.db")
    made.open()
    yield made
    made.end()
