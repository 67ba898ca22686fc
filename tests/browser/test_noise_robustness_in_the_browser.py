"""Measuring how much noise two runs bear, from the page: start, watch, cancel, see, share."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from driven import TRAINED, Dashboard, alright, at, becomes, column, settled, until, waiting
from playwright.sync_api import Page, expect

from gradscope.records import Status
from gradscope.store import Store, open_store, read_robustness, read_tasks

pytestmark = pytest.mark.browser
RUNS = f"runs={TRAINED['tanh-pn']}&runs={TRAINED['relu']}"


@pytest.fixture
def measured_here(trained: Path, tmp_path: Path) -> Iterator[Dashboard]:
    """A dashboard of finished runs of its own, open."""
    shutil.copytree(trained, tmp_path / "copy")
    made = Dashboard(tmp_path / "copy" / "runs.db")
    made.open()
    yield made
    made.end()


@pytest.fixture
def own_store(measured_here: Dashboard) -> Iterator[Store]:
    opened = open_store(measured_here.store)
    yield opened
    opened.close()


def see_through(store: Store, run: int) -> None:
    """Wait, step by step, until the run's newest task is completed."""
    until(lambda: read_tasks.tasks(store, [run])[0].status is not Status.QUEUED, "its process is started")
    until(lambda: read_tasks.tasks(store, [run])[0].phase != "starting", "its process speaks")
    until(lambda: read_tasks.tasks(store, [run])[0].status is Status.COMPLETED, "it is measured")


def test_two_runs_are_measured_from_the_page(measured_here: Dashboard, own_store: Store, page: Page) -> None:
    page.goto(f"{measured_here.url}/noise_robustness?{RUNS}")
    at(page, "Noise robustness")
    expect(page.get_by_test_id("stAlert")).to_contain_text("None of these runs has been measured yet")
    with waiting(own_store):
        page.get_by_label("Draws of each noise at each level").fill("2")  # and no Enter
        page.get_by_role("button", name="Measure 2 runs").click()
        expect(page.get_by_role("button", name="Cancel")).to_have_count(2)
        expect(page.get_by_test_id("stProgress").last).to_contain_text("waits for its turn")
        page.get_by_role("button", name="Cancel").last.click()
        until(lambda: read_tasks.tasks(own_store, [4])[0].status is Status.STOPPED, "the second is cancelled")
        assert read_tasks.tasks(own_store, [3])[0].settings["draws"] == 2

    see_through(own_store, 3)
    becomes(lambda: column(page, "run"), ["tanh-pn"], "the first curve is there")
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    expect(page.get_by_text("Not measured yet: 4 relu.")).to_be_visible()
    assert len(read_robustness.points(own_store, [3])) == 20
    for place, title in enumerate(("Gaussian noise", "Uniform noise")):
        expect(page.get_by_test_id("stVegaLiteChart").nth(place)).to_contain_text(title)

    page.get_by_role("button", name="Measure", exact=True).click()
    page.get_by_role("button", name="Measure 2 runs").click()
    see_through(own_store, 4)
    becomes(lambda: column(page, "run"), ["tanh-pn", "relu"], "both are there")
    page.get_by_role("heading", name="Noise robustness").click()  # closes what floats over the page
    alright(page)

    page.get_by_role("radio", name="relative").click()
    settled(page)
    expect(page).to_have_url(re.compile(r"\bmeasure_as=relative\b"))
    page.reload()
    at(page, "Noise robustness")
    expect(page.get_by_role("radio", name="relative")).to_be_checked()
    becomes(lambda: column(page, "run"), ["tanh-pn", "relu"], "the same view")
    expect(page.get_by_test_id("stVegaLiteChart").first).to_contain_text("share of the clean accuracy")
