"""The dashboard as a user has it: a process of its own, and what a page in a browser says."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psutil
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from ports import any_port

from gradscope.jobs.actions import ensure_supervisor
from gradscope.jobs.lock import Lock
from gradscope.paths import supervisor_lock
from gradscope.serve import answers
from gradscope.store import Store

PATIENCE_SECONDS = 180.0
"""An upper bound, not a claim: a slow machine under load may take that long to do anything."""

PRESS_SECONDS = 20.0
"""How long a press may take to show before it is taken for lost."""

PAGES = {
    "Runs": "",
    "Launch": "launch",
    "Diagnosis": "diagnosis",
    "Gradient decay": "gradient_decay",
    "Layers over time": "layers_over_time",
    "Learning curves": "learning_curves",
    "Compare": "compare",
    "What if": "what_if",
    "Noise robustness": "noise_robustness",
    "Saliency": "saliency",
    "What it looks at": "what_it_looks_at",
    "Pseudo-normalisation": "pseudo_normalisation",
    "Distillation": "distillation",
    "Elastic exits": "elastic_exits",
    "Papers": "papers",
}
"""Address of each page by its title; the first page is at the root."""

WITHOUT_RUNS = {"Launch": "Start", "Pseudo-normalisation": "More", "Papers": "Start"}
"""Pages that have something to show while the store is empty, each with a button of its own."""

TRAINED = {"sigmoid": "1 sigmoid", "tanh": "2 tanh", "tanh-pn": "3 tanh-pn", "relu": "4 relu"}
"""The finished runs, by preset; how choices name them."""

NewPage = Callable[..., Page]
"""Opens a page in a window of its own."""

Found = TypeVar("Found")


def until(condition: Callable[[], Found], what: str, patience: float = PATIENCE_SECONDS) -> Found:
    """Ask again and again until the answer is true; returns it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if answer := condition():
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited {patience:.0f} s in vain: {what}")


def becomes(read: Callable[[], object], expected: object, what: str = "") -> None:
    """Ask again and again until the answer is the expected one; else fail with the last answer.

    A page is drawn piece by piece, its tables after the server is done: what is asked once may be asked too early.
    """
    answers: list[object] = []
    with contextlib.suppress(AssertionError):
        until(lambda: answers.append(read()) or answers[-1] == expected, what)
    assert answers[-1] == expected, what


def steady(read: Callable[[], Found]) -> Found:
    """What a page says twice, a second apart: what follows an action may be drawn in several goes."""
    said = [read()]

    def again() -> bool:
        time.sleep(1.0)  # no event tells that nothing more is to come
        said.append(read())
        return said[-1] == said[-2]

    until(again, "the page says the same as a second ago")
    return said[-1]


def press(mark: Locator, has_worked: Callable[[], object], what: str) -> None:
    """Click a mark of a chart; again if the click met a redraw of it, and was lost.

    Args:
        mark: the chart takes the click wherever it lands, so a label or a ring over the mark is no obstacle.
        has_worked: must ask the page, as `page.url` does not.
        what: was waited for, in an error.
    """

    def click() -> None:
        with contextlib.suppress(PlaywrightError):
            mark.click(force=True, timeout=1000 * PRESS_SECONDS)

    _again(click, has_worked, what)


def _again(act: Callable[[], object], has_worked: Callable[[], object], what: str) -> None:
    """Act until it has worked, and never once it has: a second press on the same mark takes back the first."""

    def works() -> bool:
        if not has_worked():
            act()
            with contextlib.suppress(AssertionError):
                until(has_worked, what, PRESS_SECONDS)
        return bool(has_worked())

    until(works, what)


@contextlib.contextmanager
def waiting(store: Store) -> Iterator[None]:
    """Nothing of the store's queue starts before the block ends, so that what waits can be looked at."""
    lock = Lock(supervisor_lock(store.name))
    until(lock.acquire, "no supervisor serves the store")
    try:
        yield
    finally:
        lock.release()
    ensure_supervisor(store)


class Dashboard:
    """`gradscope ui` on a store, in a session of its own as from a terminal; what works for the store ends with it."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.output = store.with_suffix(".ui.log")
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""

    @property
    def pid(self) -> int:
        """Of the server."""
        assert self._process
        return self._process.pid

    def open(self) -> None:
        """Start it, and wait until it answers."""
        known = {name: value for name, value in os.environ.items() if not name.startswith("GRADSCOPE_")}
        self.url = ""
        self.output.unlink(missing_ok=True)
        with self.output.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gradscope", "ui", "--store", str(self.store), "--port", str(any_port())],
                env={**known, "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        until(self._answers, "the dashboard answers")

    def _answers(self) -> bool:
        assert self._process
        printed = self.output.read_text()
        assert self._process.poll() is None, f"the dashboard ended: {printed}"
        # as printed, and not as asked for: somebody else may have taken the port in between
        if found := re.search(r"http://[\d.]+:\d+", printed):
            self.url = found.group()
            return answers(self.url)
        return False

    def interrupt(self) -> None:
        """Ctrl-C in its terminal: the signal goes to everything that the terminal started."""
        assert self._process
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(PATIENCE_SECONDS)

    def end(self) -> None:
        """Leave nothing behind: the server, the supervisor, the runs in training."""
        if self._process and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(PATIENCE_SECONDS)
        # the supervisor first, lest it starts the next run
        for word in ("supervise", "work", "perform"):
            for process in self._at_work(word):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
                    process.wait(PATIENCE_SECONDS)

    def _at_work(self, word: str) -> list[psutil.Process]:
        commands = ((process, process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"]))
        return [process for process, command in commands if str(self.store) in command and word in command]


def at(page: Page, title: str, *, moving: bool = False) -> None:
    """Wait until the page of that title is there, and whole.

    Args:
        page: the window.
        title: the page's.
        moving: whether it follows a run in training; a busy machine may have it sent anew without a pause.
    """
    expect(page.get_by_role("heading", name=title, level=1, exact=True)).to_be_visible()
    if not moving:
        settled(page)


def settled(page: Page) -> None:
    """Wait until the server has nothing more to send."""
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", re.compile("notRunning|compileError")
    )


def go(page: Page, title: str, *, moving: bool = False) -> None:
    """By the menu; see `at`."""
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=title, exact=True).click()
    at(page, title, moving=moving)


def alright(page: Page) -> None:
    """No exception box and no dialog over the page."""
    expect(page.get_by_test_id("stException")).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)


def tables(page: Page) -> Locator:
    """The page's tables; each holds, for screen readers, what its canvas shows."""
    return page.get_by_test_id("stDataFrame").locator("table[role=grid]")


def rows(page: Page, table: int = 0) -> list[dict[str, str]]:
    """What the first table shows, or another one, a row by column name; nothing while it is not there."""
    cells = "all => all.map(row => [...row.children].map(cell => cell.textContent))"
    lines = tables(page).nth(table).locator("tr").evaluate_all(cells)
    return [dict(zip(lines[0], line, strict=False)) for line in lines[1:]]


def column(page: Page, name: str) -> list[str]:
    """What the first table shows in a column, "" where it has none of that name."""
    return [line.get(name, "") for line in rows(page)]


def row(page: Page, run: str) -> dict[str, str]:
    """The table's row of a run, empty while there is none."""
    return next((r for r in rows(page) if r.get("run") == run), {})


def tick(page: Page, run: str) -> None:
    """Press the box before a row of the runs table, which is a picture; again if the press met a redraw of it."""
    until(lambda: row(page, run), f"{run} is in the table")
    settled(page)
    line = tables(page).first.locator("tr").filter(has=page.get_by_text(run, exact=True))
    before = line.get_attribute("aria-selected")
    _again(
        lambda: _press(page, run),
        lambda: line.get_attribute("aria-selected") != before,
        f"the box of {run} changes",
    )


def _press(page: Page, run: str) -> None:
    box = page.get_by_test_id("stDataFrame").first.locator(".stDataFrameGlideDataEditor").first.bounding_box()
    runs = [line["run"] for line in rows(page)]
    if box is None or run not in runs:
        return
    height = box["height"] / (len(runs) + 1)
    x, y = box["x"] + 16, box["y"] + height * (runs.index(run) + 1.5)
    # the picture takes a press only where it has seen the pointer move to
    page.mouse.move(x, y, steps=5)
    page.mouse.click(x, y)


def shown(page: Page) -> list[str]:
    """The runs chosen in the sidebar."""
    settled(page)
    return [
        t.split("\n")[0] for t in page.get_by_test_id("stSidebar").locator("[data-testid^=shown-]").all_inner_texts()
    ]


def number(text: str) -> int:
    """A number as people read it: 1 240; 0 where there is none yet."""
    return int(re.sub(r"\D", "", text) or 0)


def curve(page: Page) -> Locator:
    """The lines of the first figure that are seen; fitted ones wait for the pointer."""
    return page.get_by_test_id("stVegaLiteChart").first.locator('svg g.mark-line path:not([opacity="0"])')


def choose(page: Page, label: str, option: str) -> None:
    """Open a choice and press one of its options; again where a redraw closed the list in between."""
    field = page.get_by_role("combobox", name=label, exact=True)

    def chosen() -> bool:
        if field.input_value() == option:
            return True
        field.click()
        try:
            page.get_by_role("option", name=option, exact=True).click(timeout=5000)
        except PlaywrightTimeout:
            page.keyboard.press("Escape")
        return False

    until(chosen, f"{option} is chosen as {label}")
    settled(page)


def fill(page: Page, label: str, value: object) -> None:
    """On Launch: type a setting into its field and press Enter; wait until the plan beside the form has it."""
    field = page.get_by_test_id("stMain").get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
    expect(page.get_by_text(re.compile(rf"\.{label} \S+ → {value}\b"))).to_be_visible()
