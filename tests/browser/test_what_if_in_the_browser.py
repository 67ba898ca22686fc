"""What a change would do, before it is trained: on a finished run and on one in training, and launched from there."""

import re

import psutil
import pytest
from driven import Dashboard, alright, at, becomes, choose, settled, until
from playwright.sync_api import Page, expect

from gradscope.jobs import submit
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.store import Store, read

pytestmark = pytest.mark.browser


def legend(page: Page) -> list[str]:
    return page.get_by_test_id("stVegaLiteChart").first.locator("svg .role-legend-label text").all_text_contents()


def workbenches(dashboard: Dashboard) -> list[psutil.Process]:
    """Those that the dashboard has started: other tests may have theirs."""
    children = psutil.Process(dashboard.pid).children()
    return [child for child in children if child.cmdline()[-1] == "gradscope.workbench"]


def test_a_switch_is_answered_restored_by_the_address_and_drawn_in_the_dark(gallery: Dashboard, new_page) -> None:
    page = new_page("dark")
    page.goto(f"{gallery.url}/what_if?runs=1&what_if_of=1")
    at(page, "What if")
    expect(page.get_by_test_id("stVegaLiteChart")).to_be_visible()
    expect(page.get_by_text("Nothing is switched")).to_be_visible()
    choose(page, "Activation", "relu")
    page.get_by_role("radio", name="fresh weights").click()
    choose(page, "Start", "he")
    expect(page.get_by_text("sigmoid → relu")).to_be_visible()
    becomes(lambda: legend(page), ["recorded", "predicted"])
    expect(page).to_have_url(re.compile(r"activation=relu.*scheme=he"))
    other = new_page()
    other.goto(page.url)
    at(other, "What if")
    expect(other.get_by_text("sigmoid → relu")).to_be_visible()
    expect(other.get_by_role("button", name="Launch with this")).to_be_enabled()
    alright(other)


def test_a_run_in_training_is_changed_and_launched_and_the_process_ends_with_the_dashboard(
    dashboard: Dashboard, store: Store, page: Page
) -> None:
    endless = {"model.depth": 6, "train.epochs": 5000, "train.device": "cpu"}
    run = submit(store, with_overrides(PRESETS["sigmoid"].config, endless), "endless")
    dashboard.open()
    page.goto(f"{dashboard.url}/what_if")
    at(page, "What if")
    until(lambda: read.run(store, run).progress.last_step > 0, "it trains")
    choose(page, "Shortcuts", "with")
    page.get_by_role("button", name="Launch with this").click()
    expect(page.get_by_text("is queued: endless, shortcuts.")).to_be_visible()
    settled(page)
    assert read.runs(store)[0].config["model"]["residual"]
    alright(page)
    ours = workbenches(dashboard)
    assert len(ours) == 1
    page.goto("about:blank")  # else it complains that its server is gone
    dashboard.end()
    until(lambda: not ours[0].is_running(), "the process has ended")
