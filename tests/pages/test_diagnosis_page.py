import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from stores import STORIES, add, fill
from streamlit.testing.v1 import AppTest

from gradscope.cured import Cured, Tried
from gradscope.records import Status
from gradscope.store import Store, read, write_tasks

Page = Callable[..., AppTest]
BY_NAME = {story.name: story for story in STORIES}
STEPS = [0, 1, 2, 4, 8, *range(10, 60, 10)]


def texts(test: AppTest) -> str:
    return " ".join(str(e.value) for e in test.get("markdown"))


def titles(test: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["title"]["text"] for chart in test.get("vega_lite_chart")]


def test_the_verdict_names_what_vanishes_and_where(store: Store, page: Page) -> None:
    add(store, BY_NAME["sigmoid"], STEPS)
    test = page("Diagnosis")
    assert "#### The gradient vanishes from fc6 down to fc1: \N{MULTIPLICATION SIGN}0.21" in texts(test)
    assert ":material/error: critical" in texts(test)
    assert titles(test)[:2] == ["Health of each layer over the training", "Signal of every layer"]
    assert test.expander[0].label.startswith("✕ **vanishing gradient** since step 0")


def test_a_row_of_many_layers_is_named_by_its_ends(store: Store, page: Page) -> None:
    add(store, BY_NAME["lost"], STEPS)
    captions = [caption.value for caption in page("Diagnosis").caption]
    assert any("23 layers, fc1 to fc23" in caption for caption in captions), captions


def test_a_healthy_run_is_told_healthy(store: Store, page: Page) -> None:
    add(store, BY_NAME["relu"], STEPS)
    test = page("Diagnosis")
    assert "#### Healthy as far as recorded, up to step 50." in texts(test)
    assert titles(test) == ["Health of each layer over the training"]


def test_a_run_that_diverged_is_told_with_the_layer_of_its_first_bad_value(store: Store, page: Page) -> None:
    add(store, BY_NAME["exploded"], [0, 1, 2, 180, 190])
    assert "The first value that is not finite is in the gradient of fc7 at step 180" in texts(page("Diagnosis"))


def test_a_run_without_records_says_that_there_is_nothing_yet(store: Store, page: Page) -> None:
    add(store, BY_NAME["waiting"])
    test = page("Diagnosis")
    assert "#### Nothing is recorded yet." in texts(test)
    assert titles(test) == []


def test_the_address_says_which_run_is_diagnosed_also_one_that_is_not_shown(store: Store, app: Page) -> None:
    fill(store, 6, STEPS)
    test = app("Diagnosis", of="1 sigmoid")
    assert not test.exception
    assert test.selectbox(key="of").value == 1
    assert "The gradient vanishes" in texts(test)
    assert len(test.table[0].value) == 4


def test_the_verdicts_of_all_runs_shown_stand_in_cells_that_wrap_and_names_stay_as_they_are(
    store: Store, page: Page
) -> None:
    add(store, BY_NAME["sigmoid"], STEPS)
    add(store, replace(BY_NAME["relu"], name="a_b *c* [x](y)"), STEPS)
    found = page("Diagnosis").table[0].value
    assert list(found["run"]) == ["1 sigmoid", r"2 a\_b \*c\* \[x\](y)"]
    assert found["verdict"][0].startswith("The gradient vanishes from fc6 down to fc1")
    assert found[""][0].startswith("![](data:image/svg+xml;base64,")


def test_a_remedy_is_launched_with_one_press(store: Store, page: Page) -> None:
    add(store, BY_NAME["sigmoid"], STEPS)
    test = page("Diagnosis")
    button = test.button(key="launch_vanishing_gradient_0")
    assert button.label == "ReLU with He initialisation"
    assert test.button(key="launch_vanishing_gradient_3").label == "Adam"
    assert "Its steps do not depend on the size of the gradient." in [caption.value for caption in test.caption]
    button.click().run()
    assert not test.exception
    started = read.runs(store)[0]
    assert (started.name, started.status) == ("sigmoid, ReLU with He initialisation", Status.QUEUED)
    assert started.config["model"]["activation"] == "relu"
    assert "Run 2 is queued" in test.success[0].value


@pytest.mark.parametrize("name", ["my own loop", "dead", "live"])
def test_findings_of_every_kind_are_drawn(store: Store, page: Page, name: str) -> None:
    add(store, BY_NAME[name], STEPS)
    test = page("Diagnosis")
    assert not test.exception
    assert not test.error


def test_the_strip_and_the_evidence_show_a_layer_that_broke_between_two_records(store: Store, page: Page) -> None:
    add(store, replace(BY_NAME["exploded"], breaks_at=13), [0, 1, 2, 4, 8])
    strip, evidence = (json.loads(chart.proto.spec) for chart in page("Diagnosis").get("vega_lite_chart")[:2])
    assert strip["layer"][0]["encoding"]["color"]["scale"]["domain"][-1] == "critical"
    marks = evidence["layer"][1]["encoding"]["color"]["scale"]["domain"]
    assert marks == ["exactly zero", "not finite"], "the layer is red at the step at which it broke"


def test_the_command_that_cures_a_run_is_there_to_copy_where_it_is_ill(store: Store, page: Page) -> None:
    add(store, BY_NAME["relu"], STEPS)
    assert [code.value for code in page("Diagnosis").code] == []
    ill = add(store, BY_NAME["sigmoid"], STEPS)
    assert [code.value for code in page("Diagnosis").code] == [f"gradscope cure {ill} --store {store.name}"]


def test_the_latest_cure_of_a_run_is_a_tree_with_the_winners_settings(store: Store, page: Page) -> None:
    ill = add(store, BY_NAME["sigmoid"], STEPS)
    cured = add(store, replace(BY_NAME["relu"], name="sigmoid, ReLU"), STEPS)
    tried = (
        Tried(run_id=ill, remedy=None, parent=None),
        Tried(run_id=cured, remedy="ReLU", parent=0),
        Tried(run_id=99, remedy="norms", parent=0),
    )
    Cured(tried=tried, winner=1).save(store.paths(ill).cure)
    test = page("Diagnosis", of=ill)
    assert "What was tried on top of what" in titles(test)
    chart = next(c for c in test.get("vega_lite_chart") if json.loads(c.proto.spec)["title"]["text"].startswith("What"))
    assert "deleted since" in str(chart.proto)
    assert f"**Healthy: run {cured}**, ReLU. Its settings, ready to copy:" in texts(test)
    assert test.code[-1].value.startswith("gradscope train ")


@pytest.mark.parametrize(
    ("ended", "words"),
    [(Status.STOPPED, "It was broken off before everything was tried"), (Status.COMPLETED, "None of these is healthy")],
)
def test_a_cure_without_a_winner_says_whether_it_came_to_its_end(
    store: Store, page: Page, ended: Status, words: str
) -> None:
    ill = add(store, BY_NAME["sigmoid"], STEPS)
    Cured(tried=(Tried(run_id=ill, remedy=None, parent=None),), winner=None).save(store.paths(ill).cure)
    task = write_tasks.create(store, ill, "cure", {})
    write_tasks.finish(store, task, ended)
    assert any(caption.value.startswith(words) for caption in page("Diagnosis", of=ill).caption)
