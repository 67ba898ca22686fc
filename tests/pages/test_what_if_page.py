import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from stores import STORIES, add
from streamlit.testing.v1 import AppTest

from gradscope.config import RunConfig
from gradscope.jobs import create
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import Store, read
from gradscope.train import train

Page = Callable[..., AppTest]
BY_NAME = {story.name: story for story in STORIES}
SMALL = {
    "model.depth": 4,
    "model.width": 16,
    "model.activation": "sigmoid",
    "data.limit": 200,
    "train.epochs": 1,
    "train.device": "cpu",
}


@pytest.fixture
def run(store: Store) -> int:
    found = create(store, with_overrides(RunConfig(), SMALL), "small", status=Status.RUNNING)
    assert train(store, found) is Status.COMPLETED
    return found


def words(test: AppTest) -> str:
    assert not test.exception
    return " ".join(str(e.value) for kind in ("markdown", "caption") for e in test.get(kind))


def lines(test: AppTest) -> list[str]:
    """The runs that are drawn."""
    spec = json.loads(test.get("vega_lite_chart")[0].proto.spec)
    legends = [layer["encoding"]["color"]["scale"]["domain"] for layer in spec["layer"] if "scale" in _colour(layer)]
    return legends[0]


def _colour(layer: dict) -> dict:
    return layer.get("encoding", {}).get("color", {})


def test_the_trained_network_is_shown_beside_its_record(store: Store, page: Page, run: int) -> None:
    test = page("What if")
    assert lines(test) == ["recorded", "predicted"]
    assert "Nothing is switched" in words(test)
    assert test.button(key="launch_what_if").disabled
    assert test.selectbox(key="scheme").disabled, "trained weights keep their scheme"


def test_what_is_switched_is_predicted_in_words_and_launched_by_a_button(store: Store, page: Page, run: int) -> None:
    test = page("What if", weights="fresh weights")
    assert "vanishing" in words(test)
    test.selectbox(key="activation").set_value("relu").run()
    test.selectbox(key="scheme").set_value("he").run()
    assert "**Predicted** flat" in words(test) or "layer: flat" in words(test)
    assert "`model.activation` sigmoid → **relu**" in words(test)
    test.button(key="launch_what_if").click().run()
    queued = read.runs(store)[0]
    assert (queued.name, queued.status) == ("small, relu, he", Status.QUEUED)
    assert queued.config["model"]["activation"] == "relu"
    assert f"Run {queued.id} is queued" in test.success[0].value


def test_the_run_that_was_launched_tells_how_good_the_prediction_was(store: Store, page: Page, run: int) -> None:
    changed = with_overrides(RunConfig(), {**SMALL, "model.residual": True})
    twin = create(store, changed, "twin", status=Status.RUNNING)
    train(store, twin)
    test = page("What if", what_if_of=str(run), weights="fresh weights", shortcuts="with")
    assert lines(test) == ["recorded", f"run {twin}, launched", "predicted"]
    said = words(test)
    assert f"Run {twin} twin was trained with this: its step 0 lies " in said
    assert float(said.split("its step 0 lies ")[1].split(" ")[0]) < 1e-3


def test_what_cannot_be_is_said_in_a_sentence_without_asking_anybody(store: Store, page: Page, run: int) -> None:
    test = page("What if", activation="relu", pseudo="every layer")
    assert not test.exception
    assert "This cannot be: method pseudo" in test.warning[0].value
    assert not test.get("vega_lite_chart")


def test_a_run_without_batch_and_data_is_told_why_it_cannot_be_replayed(
    store: Store, page: Page, tmp_path: Path
) -> None:
    gone = {"data.name": f"folder:{tmp_path / 'gone'}"}
    add(store, replace(BY_NAME["sigmoid"], changed=gone), [0, 1])
    test = page("What if")
    assert not test.exception
    assert "gone" in test.error[0].value
    assert "Traceback" not in test.error[0].value


def test_a_loop_of_somebody_s_own_has_no_network_to_be_changed(store: Store, page: Page) -> None:
    add(store, BY_NAME["my own loop"], [0, 1])
    test = page("What if")
    assert "None of the runs shown was trained by GradScope" in test.info[0].value


def test_a_run_before_its_first_checkpoint_has_fresh_weights_only(store: Store, page: Page) -> None:
    add(store, BY_NAME["sigmoid"], [0, 1])
    test = page("What if")
    assert not test.exception
    assert test.get("button_group")[1].options == ["fresh weights"]
    assert lines(test) == ["recorded", "predicted"]
