"""The pages about methods: what a slider and a click on a map change, how a paper's runs are started and stopped."""

import re

import pytest
from driven import Dashboard, NewPage, alright, at, becomes, choose, column, press, rows, settled, until
from playwright.sync_api import Page, expect

from gradscope.records import Results, Status
from gradscope.reproduce.group import find_group
from gradscope.reproduce.papers import chosen, paper_of
from gradscope.reproduce.scales import scale_of
from gradscope.store import Store, read, write, write_tasks

pytestmark = pytest.mark.browser


def badge(page: Page, text: str) -> None:
    expect(page.get_by_test_id("stMain").get_by_text(text)).to_be_visible()


def view(page: Page) -> dict[str, object]:
    """What somebody sees of the net."""
    chosen_now = page.get_by_test_id("stMain").get_by_role("radio", checked=True).all_inner_texts()
    return {"choices": chosen_now, "drawn": page.get_by_test_id("stVegaLiteChart").first.locator("svg").text_content()}


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
    expect(page).to_have_url(re.compile(r"\bnet_depth=100\b"))
    settled(page)

    cells = page.get_by_test_id("stVegaLiteChart").nth(3).locator("svg g.mark-rect path")
    weights = page.get_by_role("slider", name="Weight scale")
    press(cells.nth(0), lambda: weights.input_value() == "0.5", "a click moves the sliders")
    expect(page).to_have_url(re.compile(r"\bweight_scale=0\.5\b"))
    badge(page, "every layer: does nothing")
    alright(page)

    other = new_page(color_scheme="dark")
    other.goto(page.url)
    at(other, "Pseudo-normalisation")
    badge(other, "every layer: does nothing")
    expect(other.get_by_role("slider", name="Weight scale")).to_have_value("0.5")


def test_a_net_in_the_address_is_the_net_on_the_page_with_form_and_scope(gallery: Dashboard, page: Page) -> None:
    page.goto(f"{gallery.url}/pseudo_normalisation?net_depth=50&weight_scale=1.5&bias_scale=1")
    at(page, "Pseudo-normalisation")
    badge(page, "every second layer: explodes")
    badge(page, "every layer: explodes")
    for name, parameter in (("sigmoid", "net_activation"), ("dual", "form"), ("batch", "scope"), ("signal", "curve")):
        page.get_by_test_id("stMain").get_by_role("radio", name=name, exact=True).press("Space")
        settled(page)
        expect(page).to_have_url(re.compile(rf"\b{parameter}={name}\b"))
    scale = page.get_by_role("slider", name="Bias scale")
    scale.press("ArrowLeft")
    settled(page)
    expect(page).to_have_url(re.compile(r"\bbias_scale=0\.95\b"))
    before = view(page) | {"choices": ["signal", "sigmoid", "dual", "batch"]}
    becomes(lambda: view(page), before)
    page.reload()
    at(page, "Pseudo-normalisation")
    expect(page.get_by_role("slider", name="Bias scale")).to_have_value("0.95")
    expect(page.get_by_text("Signal of every layer")).to_be_visible()
    becomes(lambda: view(page), before)
    alright(page)


def test_gradient_decay_shows_gains_and_shares_over_the_steps(gallery: Dashboard, page: Page) -> None:
    page.goto(f"{gallery.url}/gradient_decay?runs=3+tanh-pn")
    at(page, "Gradient decay")
    expect(page.get_by_text("Gain of each layer over the steps")).to_be_visible()
    expect(page.get_by_text("Derivatives above 1 once normalised (dotted: Gaussian)")).to_be_visible()
    expect(page.get_by_text(re.compile("The paper expects 31.7 %"))).to_be_visible()
    alright(page)


def test_an_empty_store_has_published_figures_and_the_next_step(
    empty: Dashboard, page: Page, new_page: NewPage
) -> None:
    page.goto(f"{empty.url}/papers")
    at(page, "Papers")
    expect(page.get_by_text("No run of this reproduction yet: press Start, or run")).to_be_visible()
    becomes(lambda: set(column(page, "ours")), {"—"}, "nothing is ours yet")
    page.get_by_text("Sweep", exact=True).click()
    until(lambda: "Dual form, one RMS a batch" in column(page, "experiment"), "the sweep is listed")
    choose(page, "Experiment", "Model 3, CIFAR-100, dual form, augmented")
    until(
        lambda: {r.get("setting"): r.get("ours") for r in rows(page, 1)}.get("epochs at 1e-4 at the end"),
        "its differences",
    )
    page.get_by_role("radio", name="tiny", exact=True).press("Space")
    expect(page).to_have_url(re.compile(r"=tiny\b"))
    other = new_page(color_scheme="dark")
    other.goto(page.url)
    at(other, "Papers")
    expect(other.get_by_role("combobox", name="Experiment")).to_have_value("Model 3, CIFAR-100, dual form, augmented")
    expect(other.get_by_role("radio", name="tiny", exact=True)).to_be_checked()
    until(lambda: "Dual form, one RMS a batch" in column(other, "experiment"), "the sweep is in the address")
    alright(other)


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
    becomes(lambda: column(page, "runs")[-1:], ["1 of 1"], "the table has it")
    page.get_by_role("button", name="Show its runs").click()
    settled(page)
    expect(page.get_by_test_id("stSidebar").get_by_text("tanh seed 0", exact=True)).to_be_visible()
    alright(page)
