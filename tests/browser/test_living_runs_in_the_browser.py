"""Pages that follow a run in training."""

import re
from collections.abc import Iterator

import pytest
from driven import Dashboard, alright, at, go, tables, until
from late import LateTimer
from living import going_on
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def living(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The dashboard of a run whose gradient vanishes and that goes on, open."""
    made = Dashboard(tmp_path_factory.mktemp("living") / "runs.db")
    with going_on(made.store):
        made.open()
        yield made
        made.end()


def test_a_comparison_with_a_run_in_training_moves_on(living: Dashboard, page: Page) -> None:
    page.goto(f"{living.url}/compare")
    # and not until it is at rest: on a busy machine a live page has no rest
    expect(page.get_by_role("heading", name="Compare", level=1)).to_be_visible()
    expect(page.get_by_text(re.compile(r"live, step \d"))).to_be_visible()
    chart = page.get_by_test_id("stVegaLiteChart").first
    drawn = chart.locator("svg").inner_html()
    until(lambda: chart.locator("svg").inner_html() != drawn, "the curves move")
    expect(tables(page).first).to_contain_text("sigmoid")
    alright(page)


def test_the_diagnosis_of_a_run_in_training_moves_on_and_is_left(living: Dashboard, page: Page) -> None:
    timer = LateTimer(page)
    page.goto(f"{living.url}/diagnosis")
    at(page, "Diagnosis", moving=True)
    verdict = page.get_by_role("heading", level=4)
    expect(verdict).to_contain_text("The gradient vanishes")
    expect(page.get_by_text(re.compile(r"live, step \d"))).to_be_visible()
    strip = page.get_by_test_id("stVegaLiteChart").first
    drawn = strip.locator("svg").inner_html()
    until(lambda: strip.locator("svg").inner_html() != drawn, "the strip grows")
    page.get_by_role("button", name="Open Gradient decay").click()
    until(lambda: page.wait_for_timeout(100) or (timer.late and timer.rings), "the next page moves, its timer rings")
    at(page, "Gradient decay", moving=True)
    go(page, "Diagnosis", moving=True)
    until(lambda: page.wait_for_timeout(100) or timer.rings, "the page moves")
    page.get_by_role("button", name="Try a change in What if").first.click()
    at(page, "What if")
    expect(page.get_by_role("combobox", name="Run", exact=True)).to_have_value("1 sigmoid")
    assert timer.late >= 2
    assert timer.references == 0, "else the page stands still where the browser kept none"
    alright(page)
