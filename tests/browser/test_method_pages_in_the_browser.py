"""The pages about methods: what a slider and a click on a map change, how a paper's runs are started and stopped."""

import re

import pytest
from driven import Dashboard, NewPage, alright, at, rows, settled, until
from playwright.sync_api import Page, expect

from gradscope.records import Results, Status
from gradscope.reproduce.group import find_group
from gradscope.reproduce.papers import chosen, paper_of
from gradscope.reproduce.scales import scale_of
from gradscope.store import Store, read, write, write_tasks

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


def half_done(store: Store) -> None:
    """All tiny runs of a paper but the last, over one seed."""
    paper, scale = paper_of("pn"), scale_of("tiny")
    for item in find_group(store, paper, scale, chosen(paper), [0]).items[:-1]:
        values = item.config.model_dump(mode="json")
        run = write.create_run(
            store, name=item.name, source="train", config=values, status=Status.QUEUED, tags=item.tags
        )
        write.results(store, run, Results(test_accuracy=0.5))
        write.finish(store, run, Status.COMPLETED)
        if item.noise:
            values = item.noise.model_dump(mode="json")
            write_tasks.create(store, run, item.noise.name, values, status=Status.COMPLETED)


def test_a_papers_missing_run_is_trained_from_its_page(dashboard: Dashboard, store: Store, page: Page) -> None:
    half_done(store)
    dashboard.open()
    page.goto(f"{dashboard.url}/papers")
    at(page, "Papers")
    expect(page.get_by_text(re.compile("39 runs: 12 done, 0 under way, 27 to train"))).to_be_visible()
    seeds = page.get_by_label("Seeds", exact=True)
    seeds.fill("1")
    seeds.press("Enter")
    settled(page)
    page.get_by_role("button", name="Go on (1 run)").click()
    expect(page.get_by_text("13 runs: 13 done, 0 under way, 0 to train")).to_be_visible()
    last = read.runs(store)[0]
    assert (last.status, last.tags) == (Status.COMPLETED, ("reproduce-pn", "tiny", "rdrd-recording-tanh"))
    until(lambda: rows(page)[-1]["runs"] == "1 of 1", "the table has it")
    page.get_by_role("button", name="Show its runs").click()
    settled(page)
    expect(page.get_by_test_id("stSidebar").get_by_text("tanh seed 0", exact=True)).to_be_visible()
    alright(page)
