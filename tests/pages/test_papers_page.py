from collections.abc import Callable

import pytest
from streamlit.testing.v1 import AppTest

from gradscope.records import Results, Status
from gradscope.reproduce.group import find_group
from gradscope.reproduce.papers import chosen, paper_of
from gradscope.reproduce.scales import scale_of
from gradscope.store import Store, read, read_tasks, write

Page = Callable[..., AppTest]
TITLE = "Papers"
PN = paper_of("pn")


@pytest.fixture
def half_done(store: Store) -> Store:
    """Two seeds of one experiment completed, one of another stopped, at the tiny scale."""
    items = find_group(store, PN, scale_of("tiny"), chosen(PN, ["tanh", "pn-dual"]), range(2)).items
    for item, accuracy in zip(items, (0.5, 0.6, 0.7, None), strict=True):
        values = item.config.model_dump(mode="json")
        run = write.create_run(
            store, name=item.name, source="train", config=values, status=Status.QUEUED, tags=item.tags
        )
        if accuracy is not None:
            write.results(store, run, Results(test_accuracy=accuracy))
        write.finish(store, run, Status.STOPPED if accuracy is None else Status.COMPLETED)
    return store


def table(test: AppTest, column: str) -> dict[str, str]:
    frame = test.dataframe[0].value
    return dict(zip(frame["experiment"], frame[column], strict=True))


def test_an_empty_store_has_the_published_figures_and_a_start_button(store: Store, page: Page) -> None:
    test = page(TITLE)
    assert not test.exception
    assert table(test, "published")["Model 1, dual form, augmented"] == "82.6 %"
    assert set(table(test, "ours").values()) == {"—"}
    assert test.button(key="start_group").label == "Start (27 runs)"
    assert test.info[0].value == (
        "No run of this reproduction yet: press Start, or run `gradscope reproduce pn --scale cpu`."
    )


def test_ours_stand_beside_the_published_figures_with_what_differs(half_done: Store, page: Page) -> None:
    test = page(TITLE, experiment="Model 1, dual form")
    assert not test.exception
    assert table(test, "ours")["Model 1, plain tanh"] == "60.0 ± 14.1 %"
    assert table(test, "runs")["Model 1, dual form"] == "1 of 3, 1 stopped"
    assert test.dataframe[1].value["points"].tolist() == ["+10.0"]
    settings = test.dataframe[2].value
    assert dict(zip(settings["setting"], settings["ours"], strict=True))["train.epochs"] == "2"


def test_go_on_queues_what_is_missing_and_stop_stops_it(half_done: Store, page: Page) -> None:
    for run in (1, 2, 3):
        half_done.paths(run).model.parent.mkdir(parents=True)
        half_done.paths(run).model.touch()
    test = page(TITLE)
    test.number_input(key="seeds").set_value(2).run()
    assert test.button(key="start_group").label == "Go on (26 runs)"
    test.button(key="start_group").click().run()
    assert not test.exception
    assert len(read.unfinished(half_done)) == 23
    assert len(read_tasks.unfinished(half_done)) == 3
    assert read.run(half_done, 4).status is Status.QUEUED
    assert test.button(key="start_group").disabled
    test.button(key="stop_group").click().run()
    assert read.unfinished(half_done) == read_tasks.unfinished(half_done) == {}


def test_a_folder_without_the_data_is_said_and_nothing_can_be_started(store: Store, page: Page) -> None:
    test = page(TITLE, scale="cpu", folder="/nowhere")
    (bar,) = test.get("progress")
    assert "39 need a data folder with cifar10 and cifar100 and rdrd" in bar.proto.text
    assert test.button(key="start_group").disabled


def test_scale_seeds_and_sweep_are_in_the_address(store: Store, page: Page) -> None:
    test = page(TITLE, sweep="true", scale="full", seeds="5")
    assert test.number_input(key="seeds").value == 5
    assert "Dual form, peak rate 0.1" in table(test, "runs")
