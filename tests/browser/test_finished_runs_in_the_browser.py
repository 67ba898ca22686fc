"""Runs that have ended: compared, shared by address, renamed, deleted, looked at in the dark."""

import re
import shutil
from pathlib import Path

import pytest
from driven import (
    PAGES,
    TRAINED,
    WITHOUT_RUNS,
    Dashboard,
    NewPage,
    alright,
    at,
    becomes,
    column,
    curve,
    go,
    number,
    press,
    row,
    rows,
    settled,
    shown,
    tick,
    until,
)
from playwright.sync_api import Page, expect

from gradscope.store import open_store, read

pytestmark = pytest.mark.browser

CHARTS = {
    "Gradient decay": 5,
    "Layers over time": 5,
    "Learning curves": 3,
    "Compare": 4,
    "What if": 1,
    "Pseudo-normalisation": 6,
    "Papers": 1,
}


def view(page: Page) -> dict[str, object]:
    """What somebody sees on Gradient decay."""
    chosen = page.get_by_role("radio", checked=True)
    table = [column(page, name) for name in ("run", "verdict", "step")]
    return {"runs": shown(page), "choices": chosen.all_inner_texts(), "table": table, "lines": curve(page).count()}


def settings(page: Page) -> dict[str, dict[str, str]]:
    """The second table of Compare: values by run, by setting."""
    return {line.pop("setting", ""): line for line in rows(page, 1)}


def recorded_steps(dashboard: Dashboard, run: int) -> list[int]:
    store = open_store(dashboard.store)
    try:
        return [int(step) for step in read.steps(store, [run])["step"]]
    finally:
        store.close()


def test_every_page_of_the_menu_is_driven_here() -> None:
    app = (Path(__file__).parents[2] / "app.py").read_text()
    found = re.findall(r'title="([^"]+)"[^()]*?(?:url_path="([^"]+)"|default=True)', app)
    assert {title: address for title, address in found if address != "runs"} == PAGES


def test_the_runs_shown_are_seen_below_the_menu(gallery: Dashboard, page: Page) -> None:
    page.goto(f"{gallery.url}/gradient_decay")
    at(page, "Gradient decay")
    expect(page.get_by_role("button", name=f"Remove {TRAINED['sigmoid']}")).to_be_in_viewport(ratio=1)


def test_every_page_draws_its_charts(gallery: Dashboard, page: Page) -> None:
    page.goto(gallery.url)
    at(page, "Runs")
    for title, count in CHARTS.items():
        go(page, title)
        expect(page.get_by_test_id("stVegaLiteChart").locator("svg"), title).to_have_count(count)
        alright(page)
        if title not in WITHOUT_RUNS:  # those may name a next step beside what they show
            expect(page.get_by_test_id("stAlert"), title).to_have_count(0)


def test_three_runs_are_compared(gallery: Dashboard, page: Page) -> None:
    page.goto(gallery.url)
    at(page, "Runs")
    page.get_by_role("button", name=f"Remove {TRAINED['sigmoid']}").click()
    becomes(lambda: shown(page), ["relu", "tanh-pn", "tanh"], "three runs are left")
    go(page, "Compare")
    becomes(lambda: column(page, "run"), ["tanh", "tanh-pn", "relu"], "a row a run")
    becomes(lambda: column(page, "status"), ["✓ completed"] * 3)
    becomes(lambda: settings(page).get("optimizer.lr"), {"tanh": "0.005", "tanh-pn": "0.005", "relu": "0.05"})
    becomes(lambda: "data.val_fraction" in settings(page), False, "equal settings are hidden")
    page.get_by_text("Hide equal settings").click()
    until(lambda: "data.val_fraction" in settings(page), "equal settings are shown")
    alright(page)


def test_the_address_is_the_view(gallery: Dashboard, page: Page, new_page: NewPage) -> None:
    page.goto(gallery.url)
    at(page, "Runs")
    go(page, "Gradient decay")
    page.get_by_role("button", name=f"Remove {TRAINED['sigmoid']}").click()
    becomes(lambda: shown(page), ["relu", "tanh-pn", "tanh"])
    for choice in ("signal", "relative"):
        page.get_by_role("radio", name=choice, exact=True).click()
        expect(page).to_have_url(re.compile(rf"={choice}\b"))
    settled(page)
    page.get_by_role("slider").press("ArrowLeft")
    earlier = recorded_steps(gallery, 4)[-2]
    until(lambda: number(row(page, "relu").get("step", "0")) == earlier, "the step before the last is shown")
    expect(page).to_have_url(re.compile(rf"\bstep={earlier}\b"))
    before = view(page) | {"runs": ["relu", "tanh-pn", "tanh"], "choices": ["signal", "relative"], "lines": 3}
    becomes(lambda: view(page), before)

    page.reload()
    at(page, "Gradient decay")
    becomes(lambda: view(page), before)
    other = new_page()
    other.goto(page.url)
    at(other, "Gradient decay")
    becomes(lambda: view(other), before)


def test_one_press_of_the_back_button_goes_back_one_page_to_the_view_that_was_there(
    gallery: Dashboard, page: Page
) -> None:
    page.goto(f"{gallery.url}/runs?runs=1&runs=4")
    at(page, "Runs")
    expect(page.get_by_role("dialog")).to_have_count(0)
    go(page, "Gradient decay")
    page.get_by_role("radio", name="signal", exact=True).click()
    chart = page.get_by_test_id("stVegaLiteChart").first
    expect(chart).to_contain_text("Signal of every layer")
    press(
        chart.locator("svg g.mark-symbol path").nth(1),
        page.get_by_role("heading", name="Layers over time", level=1).count,
        "a click on a point opens its layer",
    )
    at(page, "Layers over time")
    expect(page.get_by_role("radio", checked=True)).to_have_text("signal")
    go(page, "Compare")

    page.go_back()
    at(page, "Layers over time")
    expect(page.get_by_role("radio", checked=True)).to_have_text("signal")
    page.go_back()
    at(page, "Gradient decay")
    expect(page.get_by_role("radio", checked=True).first).to_have_text("signal")
    page.go_back()
    at(page, "Runs")
    becomes(lambda: shown(page), ["sigmoid", "relu"])


def test_a_run_is_renamed_and_another_deleted_when_its_name_is_typed(
    trained: Path, dashboard: Dashboard, page: Page
) -> None:
    shutil.copytree(trained, dashboard.store.parent, dirs_exist_ok=True)
    store = open_store(dashboard.store)
    dashboard.open()
    page.goto(dashboard.url)
    at(page, "Runs")
    tick(page, "4 relu")
    page.get_by_label("Name", exact=True).fill("the best")
    page.get_by_role("button", name="Save", exact=True).click()
    until(lambda: row(page, "4 the best"), "the new name is in the table")
    until(lambda: "the best" in shown(page), "the new name is in the sidebar")
    assert read.run(store, 4).name == "the best"
    tick(page, "4 the best")
    expect(page.get_by_text("Tick runs to show")).to_be_visible()

    tick(page, "2 tanh")
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog")
    confirm = dialog.get_by_role("button", name="Delete for ever")
    expect(confirm).to_be_disabled()
    dialog.get_by_role("textbox").fill("tanh")
    dialog.get_by_role("textbox").press("Enter")
    expect(confirm).to_be_enabled()
    confirm.click()
    until(lambda: rows(page) and not row(page, "2 tanh"), "it is gone from the table")
    becomes(lambda: shown(page), ["the best", "tanh-pn", "sigmoid"], "it is gone from the sidebar")
    assert [run.id for run in read.runs(store)] == [4, 3, 1]
    assert not store.paths(2).folder.exists()
    alright(page)
    store.close()


def test_every_page_is_dark_for_those_who_like_it_dark(gallery: Dashboard, new_page: NewPage) -> None:
    page = new_page(color_scheme="dark")
    page.goto(gallery.url)
    at(page, "Runs")
    for title in PAGES:
        go(page, title)
        ground = "rgb(14, 17, 23)"
        expect(page.get_by_test_id("stApp"), title).to_have_css("background-color", ground)
        if title in CHARTS:
            picture = page.get_by_test_id("stVegaLiteChart").first.locator("svg")
            expect(picture, title).to_have_css("background-color", ground)
        until(lambda: len(page.screenshot()) > 10_000, title)
