"""The page that a worried user opens first."""

import re

import pytest
from driven import TRAINED, Dashboard, alright, at, press
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def test_a_vanishing_gradient_is_told_drawn_and_led_to_its_layer(gallery: Dashboard, page: Page) -> None:
    page.goto(f"{gallery.url}/diagnosis?of=1+sigmoid")
    at(page, "Diagnosis")
    expect(page.get_by_role("combobox", name="Run", exact=True)).to_have_value(TRAINED["sigmoid"])
    expect(page).to_have_url(re.compile(r"of=1\+sigmoid"))
    expect(page.get_by_role("heading", level=4)).to_be_visible()
    strip = page.get_by_test_id("stVegaLiteChart").first.locator("svg")
    expect(strip).to_contain_text("now")
    layers = page.get_by_role("heading", name="Layers over time", level=1)
    press(strip.locator("g.mark-rect path").last, layers.count, "a click on a layer opens it")
    at(page, "Layers over time")
    expect(page).to_have_url(re.compile(r"layer=4\+output"))
    alright(page)
