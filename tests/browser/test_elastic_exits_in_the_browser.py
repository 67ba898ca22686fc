"""The page Elastic exits: a trained elastic run is measured from it, and the slider moves the pictures."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from driven import Dashboard, alright, at, settled, until
from playwright.sync_api import Page, expect

from gradscope.config import parse_config
from gradscope.jobs import create
from gradscope.records import Status
from gradscope.store import Store, open_store, read_exits, read_tasks
from gradscope.train import train

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def elastic_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an elastic run and its plain twin, trained for two epochs."""
    path = tmp_path_factory.mktemp("elastic") / "runs.db"
    store = open_store(path, create=True)
    for name, methods in (("plain", []), ("exits", [{"name": "elastic"}])):
        config = parse_config(
            {
                "data": {"name": "digits", "limit": 200},
                "model": {"name": "resnet", "depth": 8, "width": 4},
                "methods": methods,
                "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
                "train": {"epochs": 2, "device": "cpu"},
            }
        )
        assert train(store, create(store, config, name, status=Status.RUNNING)) is Status.COMPLETED
    store.close()
    return path


@pytest.fixture
def own(elastic_store: Path) -> Iterator[Dashboard]:
    made = Dashboard(elastic_store)
    made.open()
    yield made
    made.end()


def completed(store: Store) -> int:
    return sum(task.status is Status.COMPLETED for task in read_tasks.tasks(store))


def test_exits_are_measured_from_the_page_and_the_slider_moves_the_pictures(own: Dashboard, page: Page) -> None:
    store: Store = open_store(own.store)
    page.goto(f"{own.url}/elastic_exits")
    at(page, "Elastic exits")
    expect(page.get_by_text(re.compile("Press Measure above"))).to_be_visible()
    expect(page.get_by_role("heading", name="Gradient by exit")).to_be_visible()

    page.get_by_role("button", name="Measure", exact=True).click()
    page.get_by_label("Test pictures", exact=True).fill("60")
    page.get_by_label("Test pictures", exact=True).press("Enter")
    page.get_by_role("button", name="Measure 2 runs").click()
    # one after the other: each loads PyTorch anew
    until(lambda: completed(store) >= 1, "the first run is measured")
    until(lambda: completed(store) == 2, "the second as well")
    page.get_by_role("heading", name="Elastic exits").click()  # closes what floats over the page
    expect(page.get_by_test_id("stVegaLiteChart").first).to_contain_text("network without exits")
    alright(page)
    assert read_exits.exits(store, [1, 2])["exit"].tolist() == [1, 1, 2, 3]
    store.close()

    slider = page.get_by_role("slider", name="Leave when at least so sure")
    slider.press("Home")
    settled(page)
    expect(page).to_have_url(re.compile(r"\bsure=0(\.0)?\b"))
    # at the least threshold all leave at the first exit, at the greatest all go on to the last and pay every head
    expect(page.get_by_text(re.compile("Leaving there saves"))).to_be_visible()
    slider.press("End")
    expect(page.get_by_text(re.compile(r"Leaving there (costs another|takes as many)"))).to_be_visible()
    settled(page)
    page.get_by_role("radio", name="time").click()
    settled(page)
    expect(page.get_by_test_id("stVegaLiteChart").first).to_contain_text("milliseconds a picture, measured")
    page.reload()
    at(page, "Elastic exits")
    expect(page.get_by_role("radio", name="time")).to_be_checked()
    alright(page)
