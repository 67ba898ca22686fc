"""The page that a worried user opens first, on finished runs and on one in training."""

import re

import pytest
from driven import TRAINED, Dashboard, alright, at, go, until
from playwright.sync_api import Page, expect

from gradscope.jobs import submit
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.store import Store, read

pytestmark = pytest.mark.browser


def test_a_vanishing_gradient_is_told_drawn_and_led_to_its_layer(gallery: Dashboard, page: Page) -> None:
    page.goto(f"{gallery.url}/diagnosis?of=1+sigmoid")
    at(page, "Diagnosis")
    expect(page.get_by_role("combobox", name="Run", exact=True)).to_have_value(TRAINED["sigmoid"])
    expect(page).to_have_url(re.compile(r"of=1\+sigmoid"))
    expect(page.get_by_role("heading", level=4)).to_be_visible()
    strip = page.get_by_test_id("stVegaLiteChart").first.locator("svg")
    expect(strip).to_contain_text("now")
    strip.locator("g.mark-rect path").last.click()
    at(page, "Layers over time")
    expect(page).to_have_url(re.compile(r"layer=4\+output"))
    alright(page)


def test_the_diagnosis_of_a_run_in_training_moves_on(dashboard: Dashboard, store: Store, page: Page) -> None:
    endless = {"model.depth": 8, "train.epochs": 5000, "train.device": "cpu"}
    run = submit(store, with_overrides(PRESETS["sigmoid"].config, endless), "sigmoid")
    dashboard.open()
    page.goto(f"{dashboard.url}/diagnosis")
    at(page, "Diagnosis", moving=True)
    verdict = page.get_by_role("heading", level=4)
    expect(verdict).to_contain_text("The gradient vanishes")
    expect(page.get_by_text(re.compile(r"live, step \d"))).to_be_visible()
    strip = page.get_by_test_id("stVegaLiteChart").first
    drawn = strip.locator("svg").inner_html()
    until(lambda: strip.locator("svg").inner_html() != drawn, "the strip grows")
    page.get_by_role("button", name="Open Gradient decay").click()
    at(page, "Gradient decay", moving=True)
    go(page, "Diagnosis", moving=True)
    page.get_by_role("button", name="Try a change in What if").first.click()
    at(page, "What if")
    expect(page.get_by_role("combobox", name="Run", exact=True)).to_have_value("1 sigmoid")
    assert read.run(store, run).progress.last_step > 0
    alright(page)
