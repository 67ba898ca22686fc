"""The pages Saliency and What it looks at, on maps that nobody had to compute."""

import json
from collections.abc import Callable

import attributed
import pytest
from stores import STORIES, add
from streamlit.testing.v1 import AppTest

from gradscope.config.attributions import DeepLiftShap, GradCam, IntegratedGradients
from gradscope.records import Status
from gradscope.store import Store, read_tasks, write_tasks

Page = Callable[..., AppTest]
BY_NAME = {story.name: story for story in STORIES}


def with_network(store: Store, name: str) -> int:
    run = add(store, BY_NAME[name], [0])
    store.paths(run).folder.mkdir(parents=True, exist_ok=True)
    store.paths(run).model.write_bytes(b"weights")
    return run


@pytest.fixture
def two(store: Store) -> Store:
    """Two runs with a network and maps of all test pictures."""
    for name in ("sigmoid", "relu"):
        everything = attributed.default_places(attributed.N_TEST)
        attributed.explain(store, with_network(store, name), places=everything, checks=True, step=1)
    return store


def specs(test: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in test.get("vega_lite_chart")]


def words(test: AppTest) -> str:
    kinds = ("info", "caption", "markdown", "warning", "error")
    return " ".join(str(e.value) for kind in kinds for e in test.get(kind))


def names_over(test: AppTest) -> list[list[str]]:
    """The runs and methods in the grid's head."""
    data = test.get("vega_lite_chart")[0].proto.datasets[0].data.data
    import pyarrow

    table = pyarrow.ipc.open_stream(data).read_all().to_pandas()
    return table[["run", "method"]].to_numpy().tolist()


def test_the_maps_of_two_runs_stand_beside_each_other(two: Store, page: Page) -> None:
    test = page("Saliency")
    assert not test.exception
    assert names_over(test) == [["sigmoid", "Integrated gradients"], ["relu", "Integrated gradients"]]
    assert test.selectbox(key="picture").options[0].startswith(f"{attributed.default_places()[0]} (")
    assert "Explains the logit of" in words(test)
    assert "gap 0.0 %" in words(test)
    assert "Agreement of sigmoid, relu" in words(test)
    assert test.dataframe[0].value["method"].tolist() == ["Integrated gradients"]
    assert not [b for b in test.button if b.key == "compute"], "nothing is lacking"


def test_what_is_lacking_is_computed_by_a_task_a_run(store: Store, page: Page) -> None:
    for name in ("sigmoid", "relu"):
        with_network(store, name)
    test = page("Saliency", maps_method=["occlusion", "grad_cam"])
    assert "No map of these pictures is there yet" in words(test)
    button = test.button(key="compute")
    assert button.label == "Compute maps"
    button.click().run()
    tasks = read_tasks.tasks(store, kind="explain")
    assert [task.run_id for task in tasks] == [2, 1]
    assert [m["name"] for m in tasks[0].settings["methods"]] == ["occlusion", "grad_cam"]
    assert tasks[0].settings["beside"] == [1, 2]
    assert tasks[0].settings["images"]["n"] == 24
    assert not [b for b in test.button if b.key == "compute"]
    assert [b.label for b in test.button if b.key.startswith("cancel")] == ["Cancel", "Cancel"]


def test_the_button_says_how_much_and_how_long(store: Store, page: Page) -> None:
    for name in ("sigmoid", "relu"):
        attributed.explain(store, with_network(store, name), step=1)
    test = page("Saliency", maps_n="34")
    assert test.button(key="compute").label == "Compute 20 maps, about 10 s"


def test_progress_is_shown_and_can_be_cancelled(two: Store, page: Page) -> None:
    task = write_tasks.create(two, 1, "explain", {}, status=Status.RUNNING)
    write_tasks.report(two, task, 8, 48, "Occlusion")
    test = page("Saliency")
    assert "8 of 48 maps" in str(test.get("progress")[0].proto)
    test.button(key=f"cancel-{task}").click().run()
    assert read_tasks.task(two, task).status is Status.STOPPING


def test_filters_choose_the_pictures(two: Store, page: Page) -> None:
    answers = attributed.answer(two, 1), attributed.answer(two, 2)
    test = page("Saliency", maps_outcome="wrong", maps_n="60")
    shown = [int(option.split(" ")[0]) for option in test.selectbox(key="picture").options]
    assert shown
    assert all((a.probabilities[shown].argmax(1) != a.labels[shown]).all() for a in answers)
    test.selectbox(key="maps_true").set_value("dog").run()
    assert all("(dog)" in option for option in test.selectbox(key="picture").options)


def test_a_filter_that_nothing_fits_says_so(two: Store, page: Page) -> None:
    test = page("Saliency", maps_outcome="right", maps_taken="cat", maps_true="dog")
    assert "No test picture is like that" in words(test)
    assert not test.exception


def test_the_threshold_leaves_fewer_pixels(two: Store, page: Page) -> None:
    def left(threshold: float) -> int:
        test.slider(key="threshold").set_value(threshold).run()
        text = next(c.value for c in test.caption if c.value.startswith("Contribution map: "))
        return int(text.removeprefix("Contribution map: ").partition("%")[0])

    test = page("Saliency")
    found = [left(t) for t in (0.0, 0.3, 0.9)]
    assert found[0] == 100
    assert found == sorted(found, reverse=True)
    assert found[2] < found[1]


def test_the_address_says_which_map_is_enlarged_and_how(two: Store, page: Page) -> None:
    place = attributed.default_places()[3]
    address = {"picture": str(place), "map": "relu, Integrated gradients", "overlay": "0.25", "threshold": "0.5"}
    test = page("Saliency", **address, map_scale="each its own")
    assert test.selectbox(key="picture").value == place
    assert test.selectbox(key="map").value[0] == 2
    assert (test.slider(key="overlay").value, test.slider(key="threshold").value) == (0.25, 0.5)
    assert "each map's own 99th percentile" in words(test)


def test_a_clicked_map_is_enlarged(two: Store, page: Page) -> None:
    test = page("Saliency")
    place = attributed.default_places()[5]
    test.session_state["map_clicked"] = (place, 1)
    test.run()
    assert test.selectbox(key="picture").value == place
    assert test.selectbox(key="map").value[0] == 2


def test_a_method_that_cannot_says_so_in_the_place_of_a_picture(two: Store, page: Page) -> None:
    attributed.refuse(two, 2, GradCam(), "Grad-CAM needs a convolution's feature map; choose another", step=1)
    test = page("Saliency", maps_method=["integrated_gradients", "grad_cam"])
    assert "relu: Grad-CAM needs a convolution's feature map" in test.warning[0].value
    assert names_over(test) == [["sigmoid", "Integrated gradients"], ["relu", "Integrated gradients"]]


def test_what_misses_its_sum_is_not_called_shap(two: Store, page: Page) -> None:
    attributed.explain(two, 1, DeepLiftShap(), missed=0.05, step=1)
    test = page("Saliency", maps_method=["deeplift_shap"])
    assert names_over(test) == [["sigmoid", "DeepLIFT"]]
    assert "these are no Shapley values" in words(test)


def test_another_baseline_is_another_method(two: Store, page: Page) -> None:
    attributed.explain(two, 1, IntegratedGradients(baseline="black"), step=1)
    test = page("Saliency", maps_baseline="black")
    assert names_over(test) == [["sigmoid", "Integrated gradients (baseline black)"]]
    assert "the baseline (black)" in words(test)


def test_a_run_that_trained_on_says_of_which_step_its_maps_are(store: Store, page: Page) -> None:
    run = with_network(store, "live")
    attributed.explain(store, run, step=0)
    assert "live has trained on: what is shown is of step 0" in words(page("Saliency"))


def test_runs_without_a_network_name_the_next_step(store: Store, page: Page) -> None:
    add(store, BY_NAME["my own loop"], [0])
    for title in ("Saliency", "What it looks at"):
        test = page(title)
        assert "None of these runs has a network to ask" in words(test)
        assert test.button(key="next-Launch a run").label == "Launch a run"


def test_a_torn_file_is_a_sentence(two: Store, page: Page) -> None:
    (two.paths(1).attributions("integrated_gradients-1")).write_bytes(b"torn")
    for title in ("Saliency", "What it looks at"):
        test = page(title)
        assert not test.exception
        assert "cannot be read" in test.error[0].value


def test_the_scores_have_a_figure_a_method_words_and_a_table(two: Store, page: Page) -> None:
    test = page("What it looks at", looks_n="24")
    assert [spec["title"]["text"] for spec in specs(test)] == ["Integrated gradients", "Can it be trusted?"]
    assert "**relu** looks" in words(test)
    table = test.dataframe[0].value.set_index("score")
    assert table.columns.tolist() == ["sigmoid, Integrated gradients", "relu, Integrated gradients"]
    assert table.loc["deletion"].tolist() == ["0.200 (0.200 to 0.200)"] * 2
    assert table.loc["pictures"].tolist() == ["24", "24"]


def test_maps_that_nobody_checked_can_be_checked(store: Store, page: Page) -> None:
    attributed.explain(store, with_network(store, "relu"))
    test = page("What it looks at", looks_n="24")
    assert "is not checked yet" in words(test)
    button = test.button(key="compute")
    assert button.label == "Compute checks"
    button.click().run()
    assert read_tasks.tasks(store, [1], "explain")[0].settings["checks"] is True
