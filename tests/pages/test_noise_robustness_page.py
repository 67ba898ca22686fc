"""The page Noise robustness on runs that were measured, are being measured, and were not."""

import json
import math
from dataclasses import replace

import pytest
from stores import STORIES, add
from streamlit.testing.v1 import AppTest

from gradscope import jobs
from gradscope.config import CORRUPTIONS, NOISES, Robustness
from gradscope.measured import CLEAN, RobustnessPoint
from gradscope.overrides import with_overrides
from gradscope.presets import preset
from gradscope.records import Status
from gradscope.store import Store, read, read_tasks, write, write_robustness, write_tasks

TITLE = "Noise robustness"
BY_NAME = {story.name: story for story in STORIES}
FEW = [0, 1, 2]


def with_checkpoint(store: Store, run: int) -> int:
    store.paths(run).folder.mkdir(parents=True, exist_ok=True)
    store.paths(run).model.write_bytes(b"weights")
    return run


def measure(store: Store, run: int, kinds: tuple[str, ...] = NOISES, clean: float = 0.9, images: int = 100) -> int:
    """Points that fall from the clean accuracy."""
    plain = RobustnessPoint(
        kind=CLEAN,
        level=0.0,
        seed=0,
        draws=1,
        images=images,
        step=10,
        fingerprint="f",
        accuracy=clean,
        deviation=None,
        accuracies=(clean,),
        per_class={"cat": clean, "dog": None},
        right=bytes([1] * round(images * clean) + [0] * round(images * (1 - clean))),
        device="cpu",
        settings={},
    )
    write_robustness.point(store, run, plain)
    for kind in kinds:
        for level in (1.0, 2.0):
            left = clean * (1 - level / 4)
            right = bytes([2] * round(images * left)).ljust(images, b"\0")
            more = {"draws": 2, "accuracy": left, "deviation": 0.02, "accuracies": (left, left), "right": right}
            write_robustness.point(store, run, replace(plain, kind=kind, level=level, **more))
    return run


@pytest.fixture
def two(store: Store) -> tuple[int, int]:
    """Two runs of the same settings and different seeds, measured, and their ids."""
    ids = []
    for seed, clean in ((0, 0.9), (1, 0.8)):
        config = with_overrides(preset("relu").config, {"train.seed": seed}).model_dump(mode="json")
        run = write.create_run(store, name="relu", source="train", config=config, status=Status.COMPLETED)
        ids.append(measure(store, with_checkpoint(store, run), clean=clean))
    return ids[0], ids[1]


def titles(test: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["title"]["text"] for chart in test.get("vega_lite_chart")]


def captions(test: AppTest) -> str:
    return " ".join(caption.value for caption in test.caption)


def test_a_run_without_a_checkpoint_cannot_be_measured(store: Store, page) -> None:
    add(store, BY_NAME["relu"], FEW)
    test = page(TITLE)
    assert test.info[0].value.startswith("None of these runs has a checkpoint to test")
    assert [button.label for button in test.button] == ["Launch a run"]


def test_the_empty_state_has_the_button_that_ends_it(store: Store, page) -> None:
    runs = [with_checkpoint(store, add(store, BY_NAME[name], FEW)) for name in ("relu", "tanh", "my own loop")]
    test = page(TITLE)
    assert test.info[0].value.startswith("None of these runs has been measured yet")
    test.number_input(key="measure_draws").set_value(3).run()
    assert "classifies its test pictures 55 times" in captions(test)
    test.button(key="measure").click().run()
    assert not test.exception
    queued = read_tasks.tasks(store)
    assert sorted(task.run_id for task in queued) == runs[:2]
    settings = Robustness.model_validate(queued[0].settings)
    assert (settings.kinds, settings.draws, settings.images) == (NOISES, 3, None)
    assert "The first curve appears" in test.info[0].value
    assert [b.label for b in test.button] == ["Cancel", "Cancel"]


def test_progress_time_left_and_cancel(store: Store, page, two) -> None:
    task_id = jobs.create_task(store, two[0], Robustness(draws=5), status=Status.RUNNING)
    write_tasks.report(store, task_id, 250, 1000, "evaluating")
    test = page(TITLE)
    (bar,) = test.get("progress")
    assert bar.proto.text.startswith(f"{two[0]} relu: 250 of 1\u202f000 pictures, ")
    assert bar.proto.text.endswith(" left")
    assert bar.proto.value == 25
    test.button(key=f"cancel-{task_id}").click().run()
    assert read_tasks.task(store, task_id).status is Status.STOPPING
    assert test.get("progress")[0].proto.text == f"{two[0]} relu: stops"
    assert test.button(key=f"cancel-{task_id}").disabled


def test_a_failed_task_says_why_until_there_is_a_newer_one(store: Store, page, two) -> None:
    task_id = jobs.create_task(store, two[0], Robustness(draws=5), status=Status.RUNNING)
    write_tasks.finish(store, task_id, Status.FAILED, error="the folder /gone does not exist; name another")
    assert "relu: the folder /gone does not exist; name another." in page(TITLE).warning[0].value
    newer = jobs.create_task(store, two[0], Robustness(draws=5), status=Status.RUNNING)
    write_tasks.finish(store, newer, Status.COMPLETED)
    assert not page(TITLE).warning


def test_curves_stand_side_by_side_with_their_areas(store: Store, page, two) -> None:
    test = page(TITLE)
    assert titles(test)[:2] == ["Gaussian noise", "Uniform noise"]
    table = test.dataframe[0].value
    assert table["run"].tolist() == ["relu #1", "relu #2"]
    assert table["clean"].tolist() == pytest.approx([90, 80])
    # 0.9, 0.675, 0.45 at levels 0, 1, 2
    assert table["area, Gaussian"].tolist() == pytest.approx([67.5, 60], abs=0.5)
    assert (table["± Gaussian"] > 1).all()
    assert table["of clean, uniform"].tolist() == pytest.approx([75, 75], abs=0.7)
    assert "100 test pictures, 2 draws a level, levels up to 2" in captions(test)


def test_seeds_are_pooled_into_one_curve_when_wanted(store: Store, page, two) -> None:
    test = page(TITLE, pool="true")
    table = test.dataframe[0].value
    assert table["run"].tolist() == ["relu, 2 seeds"]
    assert table["clean"].tolist() == pytest.approx([85])
    # Student's interval of two runs is wide
    assert table["± Gaussian"][0] > 30


def test_relative_is_the_share_of_the_clean_accuracy(store: Store, page, two) -> None:
    spec = json.loads(page(TITLE, measure_as="relative").get("vega_lite_chart")[0].proto.spec)
    fields = [layer["encoding"]["y"]["field"] for layer in spec["layer"]]
    assert fields == ["lower", "relative", "relative"]


def test_corruptions_are_small_multiples_with_one_interval_for_all(store: Store, page, two) -> None:
    measure(store, two[0], CORRUPTIONS)
    test = page(TITLE)
    assert "Corruptions: test accuracy" in titles(test)
    table = test.dataframe[1].value
    assert [name for name in table if name.startswith("±")] == ["± all"]
    assert table["area, JPEG"][0] == pytest.approx(67.5, abs=0.5)
    assert math.isnan(table["area, all"][1])


def test_only_corruptions_measured_is_shown_without_an_empty_noise_figure(store: Store, page) -> None:
    measure(store, with_checkpoint(store, add(store, BY_NAME["relu"], FEW)), ("fog",))
    assert titles(page(TITLE))[0] == "Corruptions: test accuracy"


def test_classes_are_shown_under_the_kind_that_is_chosen(store: Store, page, two) -> None:
    measure(store, two[0], ("fog",))
    assert titles(page(TITLE))[-1] == "Gaussian noise, class by class"
    assert titles(page(TITLE, class_kind="fog"))[-1] == "Fog, class by class"


def test_runs_measured_in_different_ways_are_told_apart(store: Store, page, two) -> None:
    measure(store, with_checkpoint(store, add(store, BY_NAME["tanh"], FEW)), images=40)
    text = captions(page(TITLE))
    assert "Measured in 2 ways" in text
    assert "Areas compare only between runs measured alike" in text


def test_runs_that_are_not_measured_are_named(store: Store, page, two) -> None:
    with_checkpoint(store, add(store, BY_NAME["tanh"], FEW))
    add(store, BY_NAME["tanh"], FEW)
    text = captions(page(TITLE))
    assert "Not measured yet: 3 tanh." in text
    assert "No trained network is kept to be measured: 4 tanh." in text


def test_the_papers_clean_accuracy_stands_beside_its_network(store: Store, page) -> None:
    config = with_overrides(preset("paper-relu").config, {"data.name": "cifar10"}).model_dump(mode="json")
    run = write.create_run(store, name="paper", source="train", config=config, status=Status.COMPLETED)
    measure(store, run, clean=0.5)
    test = page(TITLE)
    spec = json.loads(test.get("vega_lite_chart")[0].proto.spec)
    assert len(spec["layer"]) == 4
    assert spec["layer"][0]["encoding"]["y"]["scale"]["domain"] == [0.2, 0.8]
    assert len(json.loads(page(TITLE, measure_as="relative").get("vega_lite_chart")[0].proto.spec)["layer"]) == 3


def test_what_is_measured_can_be_taken_away(store: Store, page, two) -> None:
    test = page(TITLE)
    test.session_state["downloads"] = True
    assert {"PNG", "SVG", "CSV"} <= {button.proto.label for button in test.run().get("download_button")}
    assert len(read.runs(store)) == 2
