"""How long the dashboard lets people wait, in Chromium, on a store of thirty runs.

Cold: from the start of `gradscope ui` to the first chart of the Gradient decay page, the browser being open already; a
new server each time. Warm: the same page once more, from a window that remembers nothing. Live: from the commit of a
step to its number on the page (the recorder commits within half a second of the step).
"""

import argparse
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from gradscope.jobs.lock import Lock
from gradscope.paths import supervisor_lock
from gradscope.records import Batch, Kind, Layer, LayerStats, Progress, Provenance, Status
from gradscope.serve import served
from gradscope.store import Store, open_store, write

sys.path += [str(Path(__file__).parents[1] / "tests" / folder) for folder in ("pages", "browser")]
from chromium import CHROMIUM, FLAGS
from stores import fill

RUNS, LAYERS = 30, 20
PORT = 8700
COLD_GOAL, LIVE_GOAL = 3.0, 2.0
LOOK_SECONDS = 0.02
"""Between two looks at the page: what is measured is no finer than this."""
CHART = '[data-testid="stVegaLiteChart"] :is(svg, canvas)'


def main() -> None:
    options = _options()
    if CHROMIUM is None:
        print("not measured: no Chromium on the PATH (chromium, chromium-browser or google-chrome)")
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before the start; figures need a calm machine")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        store = open_store(Path(folder) / "runs.db", create=True)
        fill(store, RUNS)
        # one of them is queued: held, or the dashboard would see to it that it is trained
        queue = Lock(supervisor_lock(store.name))
        queue.acquire()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        _opening(browser, store, options.servers)
        _following(browser, store, options.steps, options.pause)
        browser.close()
        queue.release()
        store.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", type=int, default=5, help="new servers to open")
    parser.add_argument("--steps", type=int, default=20, help="live steps to write")
    parser.add_argument(
        "--pause", type=float, default=1.3, help="seconds between live steps; not a multiple of a refresh"
    )
    return parser.parse_args()


def _opening(browser: Browser, store: Store, servers: int) -> None:
    cold, answering, warm = [], [], []
    for _ in range(servers):
        began = time.perf_counter()
        with served(store.name, PORT) as url:
            answering.append(time.perf_counter() - began)
            _first_chart(browser, url)
            cold.append(time.perf_counter() - began)
            began = time.perf_counter()
            _first_chart(browser, url)
            warm.append(time.perf_counter() - began)
    _tell(f"cold start to the first chart, {RUNS} runs", cold, COLD_GOAL)
    _tell("  of it until the server answers", answering)
    _tell("the page alone, server warm", warm)


def _following(browser: Browser, store: Store, steps: int, pause: float) -> None:
    run = _live_run(store)
    with served(store.name, PORT) as url:
        page = _first_chart(browser, url, keep=True)
        delays = list(_delays(page, store, run, steps, pause))
        page.context.close()
    write.finish(store, run, Status.COMPLETED)
    _tell("a live step is on the page after its commit", delays, LIVE_GOAL)


def _tell(what: str, seconds: list[float], goal: float | None = None) -> None:
    middle, worst = statistics.median(seconds), max(seconds)
    verdict = "" if goal is None else f", goal {goal:.0f} s: {'met' if middle < goal else 'missed'}"
    print(f"{what}: median {middle:.2f} s, worst {worst:.2f} s (n = {len(seconds)}){verdict}")


def _first_chart(browser: Browser, url: str, keep: bool = False) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 800}).new_page()
    page.goto(f"{url}/gradient_decay", wait_until="commit")
    page.wait_for_function(
        "chart => [...document.querySelectorAll(chart)].some(c => c.getBoundingClientRect().height > 0)", arg=CHART
    )
    if not keep:
        page.context.close()
    return page


def _live_run(store: Store) -> int:
    run = write.create_run(store, name="being written", source="attached", config={}, status=Status.RUNNING)
    write.start(store, run, provenance=Provenance(), total_steps=1_000_000)
    layers = [Layer(index=i, name=f"fc{i}", type="Linear", shape=(64, 64), n_weights=4096) for i in range(LAYERS)]
    write.layers(store, run, layers)
    write.append(store, run, _batch(0))
    return run


def _batch(step: int) -> Batch:
    stats = tuple(
        LayerStats(step=step, layer=i, kind=kind, n=4096, rms=0.1 * 0.9 ** (LAYERS - i) / (1 + step), mean_abs=0.1)
        for i in range(LAYERS)
        for kind in (Kind.GRADIENT, Kind.SIGNAL, Kind.ACTIVATION)
    )
    return Batch(stats=stats, progress=Progress(last_step=step, samples_per_second=1000.0))


def _delays(page: Page, store: Store, run: int, steps: int, pause: float) -> Iterator[float]:
    """Seconds from the commit of each step until the page shows it or a later one."""
    written: dict[int, float] = {}

    def train() -> None:
        for step in range(1, steps + 1):
            time.sleep(pause)  # the pace at which a training would write
            write.append(store, run, _batch(step))
            written[step] = time.perf_counter()

    writer = threading.Thread(target=train)
    writer.start()
    for step in range(1, steps + 1):
        while _step_on(page) < step:
            time.sleep(LOOK_SECONDS)
        yield max(0.0, time.perf_counter() - written.get(step, time.perf_counter()))
    writer.join()


def _step_on(page: Page) -> int:
    """The step of the curve of the live run, as the table below the figure says it."""
    cells = page.locator("table[role=grid] tr", has_text="being written").locator("td").all_text_contents()
    return int(re.sub(r"\D", "", cells[-1]) or 0) if cells else 0


if __name__ == "__main__":
    main()
