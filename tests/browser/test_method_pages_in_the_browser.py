"""The pages about methods: what a slider and a click on a map change, and that the address keeps it."""

import re

import pytest
from driven import Dashboard, NewPage, alright, at, settled
from playwright.sync_api import Page, expect

pytestmark = pytest.mark.browser


def badge(page: Page, text: str) -> None:
    expect(page.get_by_test_id("stMain").get_by_text(text)).to_be_visible()


def test_sliders_and_the_map_change_the_verdict_and_the_address(
    gallery: Dashboard, page: Page, new_page: NewPage
) -> None:
    page.goto(f"{gallery.url}/pseudo_normalisation")
    at(page, "Pseudo-normalisation")
    badge(page, "every layer: cures")
    depth = page.get_by_role("slider", name="Depth (weight layers)")
    depth.press("Home")
    settled(page)
    expect(page).to_have_url(re.compile(r"\bnet_depth=3\b"))
    badge(page, "every second layer: nothing to cure")
    depth.press("End")
    settled(page)

    cells = page.get_by_test_id("stVegaLiteChart").nth(3).locator("svg g.mark-rect path")
    cells.nth(0).click()
    expect(page).to_have_url(re.compile(r"\bweight_scale=0\.5\b"))
    badge(page, "every layer: does nothing")
    alright(page)

    other = new_page(color_scheme="dark")
    other.goto(page.url)
    at(other, "Pseudo-normalisation")
    badge(other, "every layer: does nothing")
    expect(other.get_by_role("slider", name="Weight scale")).to_have_value("0.5")
