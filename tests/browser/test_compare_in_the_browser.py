"""Runs side by side: the address restores the view, the report is one file that needs no network."""

import re
from pathlib import Path

import pytest
from driven import Dashboard, alright, at, becomes, choose, settled, until
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

ALL = "runs=1&runs=2&runs=3&runs=4"


def titles(page: Page) -> list[str]:
    charts = page.get_by_test_id("stVegaLiteChart").locator("svg g.role-title-text text")
    return charts.all_text_contents()


def test_the_address_restores_what_was_compared(gallery: Dashboard, page: Page, new_page) -> None:
    page.goto(f"{gallery.url}/compare?{ALL}")
    at(page, "Compare")
    page.get_by_role("radio", name="signal", exact=True).click()
    expect(page.get_by_test_id("stVegaLiteChart").first).to_contain_text("Signal against depth")
    settled(page)
    choose(page, "Compared with", "4 relu")
    expect(page.get_by_text("Signal less that of relu")).to_be_visible()
    expect(page).to_have_url(re.compile(r"less=4\+relu"))
    other = new_page()
    other.goto(page.url)
    at(other, "Compare")
    expect(other.get_by_text("Signal less that of relu")).to_be_visible()
    drawn = until(lambda: len(found := titles(page)) == 4 and found, "all is drawn")
    assert drawn[2] == "Signal less that of relu"
    becomes(lambda: titles(other), drawn)
    alright(other)


def test_the_report_is_drawn_and_answers_the_pointer_without_a_network(
    gallery: Dashboard, page: Page, browser: Browser, tmp_path: Path
) -> None:
    page.goto(f"{gallery.url}/compare?{ALL}")
    at(page, "Compare")
    with page.expect_download() as downloading:
        page.get_by_role("button", name="Report as one HTML file").click()
    file = tmp_path / "comparison.html"
    downloading.value.save_as(file)
    context = browser.new_context(offline=True)
    report = context.new_page()
    asked, complaints = [], []
    report.on("request", lambda request: asked.append(request.url))
    report.on("pageerror", lambda error: complaints.append(str(error)))
    report.goto(file.as_uri())
    expect(report.get_by_role("heading", level=1)).to_have_text("Comparison of sigmoid, tanh, tanh-pn, relu")
    expect(report.locator(".figure svg.marks")).to_have_count(4)
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []
    report.locator(".figure").nth(2).locator("path[aria-roledescription=point]").first.hover()
    expect(report.locator("#vg-tooltip-element")).to_contain_text("decades")
    expect(report.locator(".scroll table")).to_have_count(4)
    assert complaints == []
    context.close()
