"""The page Elastic exits on runs with exits and without, measured and not."""

import json
from dataclasses import replace

import measured_exits
import numpy as np
import pytest
from stores import STORIES, add
from streamlit.testing.v1 import AppTest

from gradscope import jobs
from gradscope.config import Exits, parse_config
from gradscope.exit_answers import ExitAnswers
from gradscope.records import Batch, Kind, Layer, LayerStats, Metric, Status, TermCosine, TermGradient
from gradscope.store import Store, read_tasks, write, write_exits, write_tasks

TITLE = "Elastic exits"
NAMES = ("backbone.conv", "backbone.blocks.0", "backbone.output.1", "heads.0.3")
POINT = replace(
    measured_exits.POINT,
    **{"images": 20, "step": 9, "fingerprint": "f", "accuracy": 0.6, "loss": 1.2, "macs": 1000, "macs_asking": 1000},
    **{"parameters": 50, "milliseconds": 0.1},
)
SWEEP = replace(
    measured_exits.SWEEP,
    **{"threshold": 0.8, "images": 20, "step": 9, "fingerprint": "f", "accuracy": 0.8, "macs": 1500.0},
    **{"milliseconds": 0.2, "left": (10, 10)},
)


def launched(store: Store, *methods: dict[str, object], layers: tuple[str, ...] = NAMES) -> int:
    """A completed run with a checkpoint and a recorded step."""
    config = parse_config({"model": {"name": "resnet", "depth": 8}, "methods": list(methods)}).model_dump(mode="json")
    name = "with exits" if methods else "plain"
    run = write.create_run(store, name=name, source="train", config=config, status=Status.RUNNING)
    write.layers(
        store,
        run,
        [Layer(index=i, name=name, type="Conv2d", shape=(4, 4), n_weights=16) for i, name in enumerate(layers)],
    )
    stats = [LayerStats(step=8, layer=i, kind=Kind.GRADIENT, n=16, rms=0.1 / (i + 1)) for i in range(len(layers))]
    write.append(store, run, Batch(stats=tuple(stats)))
    write.finish(store, run, Status.COMPLETED)
    store.paths(run).folder.mkdir(parents=True, exist_ok=True)
    store.paths(run).model.write_bytes(b"weights")
    return run


def with_curves(store: Store, run: int) -> int:
    """Curves and gradients of two exits."""
    whats = ("accuracy", "loss", "calibration_error")
    metrics = [
        Metric(name=f"val_exit_{i}_{what}", step=step, epoch=step / 4, value=0.1 * i + 0.01 * step)
        for i in (1, 2)
        for what in whats
        for step in (4, 8)
    ]
    parts = [
        TermGradient(step=8, layer=layer, term=f"exit {exit_}", share=share, rms=0.1)
        for layer, shares in enumerate(((0.7, 0.3), (0.4, 0.6), (0.0, 1.0), (1.0, 0.0)))
        for exit_, share in enumerate(shares, start=1)
    ]
    angles = [TermCosine(step=8, layer=layer, term="exit 1", other="exit 2", cosine=0.2) for layer in (0, 1)]
    batch = Batch(metrics=tuple(metrics), term_gradients=tuple(parts), term_cosines=tuple(angles))
    write.append(store, run, batch)
    return run


def measured(store: Store, run: int, exits: int = 2) -> int:
    """Points of the task, with what the exits answer."""
    points = [POINT, replace(POINT, exit=2, point=None, accuracy=0.9, macs=2000, macs_asking=2010)][-exits:]
    if exits == 1:
        points = [replace(points[0], exit=1)]
    write_exits.exits(store, run, points, [SWEEP] if exits > 1 else [])
    answers = ExitAnswers(
        labels=np.arange(20) % 2,
        answers=np.array([[0] * 20, [0, 1] * 10]),
        confidence=np.array([[0.9] * 10 + [0.5] * 10, [0.95] * 20]),
        entropy=np.array([[0.3] * 10 + [0.69] * 10, [0.2] * 20]),
        images=np.full((20, 3, 4, 4), 100, np.uint8),
        classes=("cat", "dog"),
    )
    answers.save(store.paths(run).exit_answers("f", 20))
    return run


@pytest.fixture
def elastic_run(store: Store) -> int:
    return measured(store, with_curves(store, launched(store, {"name": "elastic"})))


def titles(test: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["title"]["text"] for chart in test.get("vega_lite_chart")]


def test_runs_without_exits_name_the_next_step(store: Store, page) -> None:
    add(store, STORIES[0], [0, 1])
    test = page(TITLE)
    assert test.info[0].value.startswith("None of these runs has exits. Launch one from a preset elastic-")
    assert [button.label for button in test.button] == ["Launch one with exits"]


def test_everything_about_a_measured_run(store: Store, page, elastic_run) -> None:
    launched(store, layers=("conv", "blocks.0", "output"))
    test = page(TITLE)
    assert not test.exception
    assert titles(test) == [
        "Accuracy against multiply-accumulates a picture",
        *("Accuracy of every exit", "Loss of every exit", "Calibration error of every exit"),
        "Who leaves where",
        *("Share of each exit in a layer's gradient, step 8", "Cosine with the last exit's gradient"),
        "Gradient of every layer, with and without",
    ]
    words = " ".join(text.value for text in test.markdown)
    # ten leave at exit 1 for 1000, ten pay 2010, the last alone costs 2000
    assert (
        "saves **25%** of the multiply-accumulates: accuracy **75.0%**, with the last exit for all **90.0%**" in words
    )
    assert test.dataframe[0].value["behind"].tolist() == ["blocks.0", "the whole network"]
    captions = " ".join(caption.value for caption in test.caption)
    assert "20 test pictures, 5 at once, on cpu." in captions
    assert "No run of the same settings without exits" not in captions


def test_the_slider_decides_who_leaves(store: Store, page, elastic_run) -> None:
    test = page(TITLE, sure="0.4")
    assert test.slider(key="sure").value == 0.4
    assert "saves **50%**" in " ".join(text.value for text in test.markdown)
    test = page(TITLE, rule="entropy")
    assert test.slider(key="nats").value == 0.5
    assert "saves **25%**" in " ".join(text.value for text in test.markdown)


def test_plain_networks_stand_beside_and_no_twin_is_said(store: Store, page, elastic_run) -> None:
    config = {"model": {"name": "resnet", "depth": 14}}
    run = write.create_run(
        store, name="other", source="train", config=parse_config(config).model_dump(mode="json"), status=Status.RUNNING
    )
    write.finish(store, run, Status.COMPLETED)
    measured(store, run, exits=1)
    test = page(TITLE, cost="time")
    assert titles(test)[0] == "Accuracy against milliseconds a picture, measured"
    spec = json.loads(test.get("vega_lite_chart")[0].proto.spec)
    assert "network without exits" in json.dumps(spec)
    assert "No run of the same settings without exits" in " ".join(caption.value for caption in test.caption)


def test_a_run_in_training_shows_its_curves_and_the_button_that_measures(store: Store, page) -> None:
    run = with_curves(store, launched(store, {"name": "elastic"}))
    test = page(TITLE)
    assert test.info[0].value.endswith("Press Measure above.")
    assert titles(test)[0] == "Accuracy of every exit"
    test.number_input(key="exit_images").set_value(100).run()
    test.button(key="measure_exits").click().run()
    (task,) = read_tasks.tasks(store)
    assert (task.run_id, task.kind) == (run, "exits")
    assert Exits.model_validate(task.settings).images == 100
    assert test.info[0].value.endswith("It comes as soon as the first run is measured.")
    assert "Cancel" in [button.label for button in test.button]


def test_a_run_before_its_first_epoch_says_what_is_to_come(store: Store, page) -> None:
    config = parse_config({"methods": [{"name": "elastic"}], "model": {"name": "resnet"}}).model_dump(mode="json")
    write.create_run(store, name="new", source="train", config=config, status=Status.RUNNING)
    test = page(TITLE)
    assert not test.exception
    said = [info.value for info in test.info]
    assert said[0].endswith("after their first epoch.")
    assert said[1].startswith("The first points come with the validation")
    assert said[2].startswith("No gradient was split by exit")


def test_a_torn_file_and_a_failed_task_say_so(store: Store, page, elastic_run) -> None:
    store.paths(elastic_run).exit_answers("f", 20).write_bytes(b"torn")
    task_id = jobs.create_task(store, elastic_run, Exits(images=50), status=Status.RUNNING)
    write_tasks.finish(store, task_id, Status.FAILED, error="the disk is full")
    test = page(TITLE)
    assert not test.exception
    said = " ".join(warning.value for warning in test.warning)
    assert "the disk is full" in said
    assert "remove that file, then measure the exits again" in said
