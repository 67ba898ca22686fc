"""What a new user does: opens the dashboard, launches a run, watches, stops, resumes it, closes the dashboard."""

import re

import pytest
from driven import (
    PAGES,
    WITHOUT_RUNS,
    Dashboard,
    alright,
    at,
    becomes,
    choose,
    curve,
    fill,
    go,
    number,
    row,
    rows,
    settled,
    shown,
    tick,
    until,
    waiting,
)
from playwright.sync_api import Page, expect

from gradscope.records import Status
from gradscope.store import Store, read

pytestmark = pytest.mark.browser

MANY_EPOCHS = 5000
"""So that a run ends when the test says so."""


def start(page: Page, preset: str, **settings: object) -> None:
    """On the Launch page: choose, change, press Start."""
    page.get_by_role("button", name=preset, exact=True).click()
    # until the page is settled the field of the preset before may stand below the new one
    expect(page.get_by_label("Name", exact=True).first).to_have_value(preset)
    settled(page)
    choose(page, "data", "digits")
    for label, value in settings.items():
        fill(page, label, value)
    page.get_by_role("button", name="Start", exact=True).click()
    at(page, "Runs", moving=True)


def status_on_page(page: Page, run: str, status: Status) -> None:
    until(lambda: row(page, run).get("status", "").endswith(f" {status}"), f"{run} is {status}: {rows(page)}")


def opens_and_names_the_next_step(server: Dashboard, page: Page, title: str) -> None:
    page.goto(f"{server.url}/{PAGES[title]}")
    at(page, title)
    alright(page)
    if title in WITHOUT_RUNS:
        expect(page.get_by_role("button", name=WITHOUT_RUNS[title])).to_be_enabled()
        return
    expect(page.get_by_test_id("stAlert")).to_contain_text("No run yet")
    page.get_by_role("button", name="Launch a run").click()
    at(page, "Launch")
    alright(page)


def test_every_page_opens_by_its_address_and_names_the_next_step(empty: Dashboard, page: Page) -> None:
    for title in PAGES:
        opens_and_names_the_next_step(empty, page, title)


@pytest.mark.slow
@pytest.mark.parametrize("title", PAGES)
def test_every_page_is_the_first_that_a_server_shows(dashboard: Dashboard, page: Page, title: str) -> None:
    dashboard.open()
    opens_and_names_the_next_step(dashboard, page, title)


def test_a_run_is_launched_watched_stopped_and_resumed(dashboard: Dashboard, store: Store, page: Page) -> None:
    dashboard.open()
    page.goto(dashboard.url)
    page.get_by_role("button", name="Launch a run").click()
    at(page, "Launch")
    start(page, "tanh", depth=12, epochs=MANY_EPOCHS)

    status_on_page(page, "1 tanh", Status.RUNNING)
    share = until(lambda: row(page, "1 tanh").get("done"), "the progress bar moves")
    assert 0 <= float(share) < 100
    settings = read.run(store, 1).config
    assert (settings["model"]["depth"], settings["train"]["epochs"]) == (12, MANY_EPOCHS)

    go(page, "Gradient decay", moving=True)
    step = until(lambda: number(row(page, "tanh").get("step", "0")), "a curve is drawn")
    drawn = curve(page).first.get_attribute("d")
    later = until(lambda: (now := number(row(page, "tanh").get("step", "0"))) > step and now, "the step grows")
    until(lambda: curve(page).first.get_attribute("d") != drawn, "the curve moves")
    assert read.run(store, 1).progress.last_step >= later
    expect(page.get_by_text(re.compile(r"live, step \d"))).to_be_visible()

    go(page, "Runs", moving=True)
    tick(page, "1 tanh")
    page.get_by_role("button", name="Stop", exact=True).click()
    status_on_page(page, "1 tanh", Status.STOPPED)
    stopped_at = read.run(store, 1).progress.last_step
    paths = store.paths(1)
    assert paths.model.stat().st_size > 0
    assert paths.resume.stat().st_size > 0

    page.get_by_role("button", name="Resume", exact=True).click()
    status_on_page(page, "1 tanh", Status.RUNNING)
    until(lambda: read.run(store, 1).progress.last_step > stopped_at, "the run goes on from its checkpoint")
    assert "resumed" in paths.log.read_text()
    page.get_by_role("button", name="Stop", exact=True).click()
    status_on_page(page, "1 tanh", Status.STOPPED)
    alright(page)


def test_start_takes_what_was_typed_last_without_enter(dashboard: Dashboard, store: Store, page: Page) -> None:
    dashboard.open()
    page.goto(f"{dashboard.url}/launch?preset=relu")
    at(page, "Launch")
    with waiting(store):
        page.get_by_label("epochs", exact=True).fill("77")
        page.get_by_role("button", name="Start", exact=True).click()
        at(page, "Runs")
        until(lambda: row(page, "1 relu"), "it is in the table")
        becomes(lambda: shown(page), ["relu"])
        assert read.run(store, 1).config["train"]["epochs"] == 77
        page.goto("about:blank")
        dashboard.end()


def test_a_run_outlives_the_dashboard_that_started_it(dashboard: Dashboard, store: Store, page: Page) -> None:
    dashboard.open()
    page.goto(f"{dashboard.url}?runs=")
    go(page, "Launch")
    start(page, "relu", epochs=MANY_EPOCHS)
    until(lambda: read.run(store, 1).progress.last_step > 0, "the run has begun")
    # closed as users do, and a page that has lost its server complains in its console
    page.goto("about:blank")
    dashboard.interrupt()
    step = read.run(store, 1).progress.last_step
    until(lambda: read.run(store, 1).progress.last_step > step + 20, "the run goes on without the dashboard")

    dashboard.open()
    page.goto(dashboard.url)
    status_on_page(page, "1 relu", Status.RUNNING)
    becomes(lambda: shown(page), ["relu"])
    alright(page)
