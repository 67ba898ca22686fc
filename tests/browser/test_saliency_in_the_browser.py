"""Maps of two runs on digits: computed from the page, watched, looked at, filtered, shared by address."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from driven import TRAINED, Dashboard, alright, at, choose, column, go, press, settled, steady, until, waiting
from playwright.sync_api import Locator, Page, expect

from gradscope.config.attributions import IntegratedGradients
from gradscope.measured import Part
from gradscope.store import Store, open_store, read_attributions

pytestmark = pytest.mark.browser

N = 8
METHOD = IntegratedGradients().model_dump_json()


@pytest.fixture(scope="module")
def own(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """The dashboard of these tests' own copy of the finished runs, open."""
    folder = tmp_path_factory.mktemp("saliency")
    shutil.copytree(trained, folder, dirs_exist_ok=True)
    made = Dashboard(folder / "runs.db")
    made.open()
    yield made
    made.end()


@pytest.fixture
def store(own: Dashboard) -> Iterator[Store]:
    opened = open_store(own.store)
    yield opened
    opened.close()


def pictures(page: Page) -> Locator:
    """Pictures and maps of the grid."""
    return page.get_by_test_id("stVegaLiteChart").nth(1).locator("svg image")


def left(page: Page) -> int:
    """Per cent of the pixels that the threshold leaves in the enlarged map."""
    text = page.get_by_text(re.compile(r"^Contribution map: \d+%")).inner_text()
    return int(text.removeprefix("Contribution map: ").partition("%")[0])


def whole(page: Page, runs: int) -> None:
    """Wait until the maps of one run, then those of all are there, and nothing moves any more."""
    until(lambda: pictures(page).count() >= 2 * N, "the first run's maps appear")
    expect(pictures(page)).to_have_count((1 + runs) * N)
    expect(page.get_by_test_id("stProgress")).to_have_count(0)
    settled(page)


def view(page: Page) -> dict[str, object]:
    """What somebody sees."""
    settled(page)
    chosen = {label: page.get_by_role("combobox", name=label).input_value() for label in ("Test picture", "Map")}
    return {**chosen, "left": left(page), "pictures": pictures(page).count()}


def test_maps_of_two_runs_are_computed_watched_looked_at_and_shared(own: Dashboard, store: Store, page: Page) -> None:
    page.goto(f"{own.url}/saliency?runs=3&runs=4&maps_n={N}")
    at(page, "Saliency")
    expect(page.get_by_text("No map of these pictures is there yet")).to_be_visible()
    with waiting(store):
        page.get_by_role("button", name="Compute maps").click()
        expect(page.get_by_test_id("stProgress")).to_have_count(2)
        expect(page.get_by_role("button", name="Cancel")).to_have_count(2)
    whole(page, runs=2)
    known = read_attributions.attributions(store, [3, 4])
    found = [read_attributions.of(known, run, METHOD, "predicted", Part.MAPS) for run in (3, 4)]
    assert found[0][0].places == found[1][0].places, "the same pictures for both"
    alright(page)

    before = steady(lambda: left(page))
    slider = page.get_by_role("slider", name="Threshold")
    for _ in range(6):
        slider.press("ArrowRight")
    until(lambda: left(page) < before, "a higher threshold leaves less")
    expect(page).to_have_url(re.compile(r"\bthreshold=0\.6\b"))

    second = found[0][0].places[1]
    press(
        pictures(page).nth(N + 1),  # the pictures themselves come first, then the maps of the first run
        lambda: str(view(page)["Test picture"]).startswith(f"{second} ("),
        "the clicked map is enlarged",
    )

    page.get_by_role("button", name=f"Remove {TRAINED['tanh-pn']}").click()
    expect(pictures(page)).to_have_count(2 * N)
    choose(page, "of class", "0")
    compute = page.get_by_role("button", name=re.compile(r"Compute .* maps"))  # other pictures are lacking
    compute.click()
    expect(compute).to_have_count(0)
    until(lambda: str(view(page)["Test picture"]).endswith(" (0)"), "other pictures are shown")
    whole(page, runs=1)
    shared = steady(lambda: view(page))
    expect(page).to_have_url(re.compile(r"\bmaps_true=0\b"))

    page.reload()
    at(page, "Saliency")
    until(lambda: pictures(page).count() == 2 * N and view(page) == shared, "the same view after a reload")
    alright(page)


def test_what_runs_look_at_is_computed_and_told(own: Dashboard, page: Page) -> None:
    page.goto(f"{own.url}/what_it_looks_at?runs=4&looks_n={N}")
    at(page, "What it looks at")
    page.get_by_role("button", name=re.compile("Compute")).click()
    until(lambda: "insertion" in column(page, "score"), "maps are computed and checked")
    expect(page.get_by_test_id("stVegaLiteChart").locator("svg")).to_have_count(2)
    go(page, "Saliency")
    expect(page.get_by_text("Which pixels does the answer come from?")).to_be_visible()
    alright(page)
