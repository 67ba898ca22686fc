import json
from collections.abc import Callable

import pytest
from stores import STORIES, add, fill
from streamlit.testing.v1 import AppTest

from gradscope.records import Batch, Metric, Pace, Progress, Provenance, Results, SkippedStep, Status
from gradscope.store import Store, read, write

Page = Callable[..., AppTest]
BY_NAME = {story.name: story for story in STORIES}
FEW = [0, 1, 2, 10]


def specs(test: AppTest) -> list[dict]:
    return [json.loads(chart.proto.spec) for chart in test.get("vega_lite_chart")]


def titles(test: AppTest) -> list[str]:
    return [spec["title"]["text"] for spec in specs(test)]


def words(test: AppTest) -> str:
    return " ".join(
        str(e.value) for kind in ("info", "caption", "markdown", "warning", "error") for e in test.get(kind)
    )


def test_an_empty_store_is_filled_with_the_demo_by_a_button(store: Store, app: Page) -> None:
    test = app("Gradient decay")
    test.button(key="train_demo").click().run()
    assert not test.exception
    assert [(run.name, run.status) for run in read.runs(store)[::-1]] == [
        (name, Status.QUEUED) for name in ("sigmoid", "tanh", "tanh-pn", "tanh-residual", "relu")
    ]
    assert test.session_state["runs"] == [1, 2, 3, 4, 5]


def test_the_decay_says_factor_and_verdict(store: Store, page: Page) -> None:
    for name in ("sigmoid", "tanh-pn", "exploded"):
        add(store, BY_NAME[name], [0, 1, 180])
    table = page("Gradient decay").dataframe[0].value
    assert table["verdict"].tolist() == ["vanishing from fc7 down", "flat", "not finite in 4 layers"]
    factor, interval = table["a layer"][0].split(" ", 1)
    assert factor.startswith("\N{MULTIPLICATION SIGN}0.2")
    low, high = map(float, interval.strip("()").split(" to "))
    assert low < 0.21 < high
    assert table["from output to input"][0] == f"{factor} a layer"


def test_the_address_says_what_the_decay_shows(store: Store, app: Page) -> None:
    fill(store, 4, FEW)
    test = app("Gradient decay", runs=["1", "3"], kind="signal", step="2")
    assert not test.exception
    assert test.dataframe[0].value["run"].tolist() == ["sigmoid", "tanh-pn"]
    assert test.dataframe[0].value["step"].tolist() == ["2", "2"]
    assert titles(test)[0] == "Signal of every layer"


def test_a_step_that_was_not_recorded_becomes_the_one_before_it(store: Store, page: Page) -> None:
    add(store, BY_NAME["relu"], FEW)
    assert page("Gradient decay", step="7").dataframe[0].value["step"].tolist() == ["2"]


def test_play_goes_from_step_to_step_and_ends_at_the_last(store: Store, page: Page) -> None:
    add(store, BY_NAME["relu"], [0, 1, 2])
    test = page("Gradient decay")
    test.button(key="play").click().run()
    seen = [test.dataframe[0].value["step"][0]]
    for _ in range(3):
        test.run()
        seen.append(test.dataframe[0].value["step"][0])
    assert seen[:2] == ["0", "1"]
    assert seen[-1] == "2"
    assert test.button(key="play").label == "Play"


def test_layers_over_time_draws_map_histograms_and_ratio(store: Store, page: Page) -> None:
    fill(store, 2, FEW)
    test = page("Layers over time", run="1", beside="2", layer="3")
    assert titles(test) == [
        "Gradient of sigmoid",
        "Gradient of tanh",
        "Magnitudes of the gradient over the steps",
        "Zeros, not finite, saturated, dead",
        "Magnitudes of the gradient at step 10",
        "Update-to-weight ratio",
    ]
    assert test.selectbox(key="layer").value == 3
    assert "fc4 at step 10" in words(test)


def test_learning_curves_name_where_a_loss_stopped_being_finite(store: Store, page: Page) -> None:
    add(store, BY_NAME["exploded"], [0, 10, 180])
    assert "exploded at step 180" in page("Learning curves").warning[0].value


def log(store: Store, name: str, curves: dict[str, list[float]]) -> int:
    run_id = write.create_run(store, name=name, source="attached", config={}, status=Status.RUNNING)
    points = [Metric(name=n, step=10 * i, value=v) for n, values in curves.items() for i, v in enumerate(values)]
    write.append(store, run_id, Batch(metrics=tuple(points), progress=Progress(last_step=20)))
    return run_id


def test_every_curve_that_somebody_logged_is_drawn(store: Store, page: Page) -> None:
    log(store, "mine", {"train/loss": [3, 2], "eval/loss": [3, 2.5], "lr": [0.1], "F1/val": [0.2], "grad_norm": [5, 6]})
    test = page("Learning curves")
    assert not test.exception
    assert titles(test) == ["Loss", "Accuracy", "Learning rate", "F1", "Grad norm"]
    test.multiselect(key="curves").set_value(["F1"]).run()
    assert titles(test) == ["Loss", "Accuracy", "F1"]


def test_of_many_curves_some_are_drawn_and_all_can_be_chosen(store: Store, page: Page) -> None:
    log(store, "mine", {f"own {i:02}": [1.0, 2.0] for i in range(40)})
    test = page("Learning curves")
    assert len(titles(test)) == 8
    assert len(test.multiselect(key="curves").options) == 40


def test_the_best_accuracy_is_not_that_of_a_thinned_curve(store: Store, page: Page) -> None:
    values = [0.5] * 3000
    values[1501] = 0.9
    log(store, "mine", {"val_acc": values})
    row = page("Learning curves").dataframe[0].value.iloc[0]
    assert (row["best val."], row["at step"].split()) == ("90.0 %", ["15", "010"])
    assert row["last val."] == "50.0 %"


def test_runs_can_be_filtered_by_a_setting(store: Store, page: Page) -> None:
    fill(store, 4, FEW)
    test = page("Runs")
    test.text_input(key="q").set_value("model.depth=30").run()
    assert test.dataframe[0].value["run"].tolist() == ["3 tanh-pn", "2 tanh"]


def test_runs_are_grouped_by_any_setting_that_differs(store: Store, page: Page) -> None:
    fill(store, 4, FEW)
    groups = page("Runs", group="model.depth").dataframe[0].value
    assert groups["model.depth"].tolist() == ["10", "30"]
    assert groups["runs"].tolist() == [2, 2]
    assert "Group by train.seed" in page("Runs").selectbox(key="group").options


def test_groups_have_a_mean_of_accuracies_and_one_of_average_precisions(store: Store, page: Page) -> None:
    first, second, third = [*fill(store, 2, FEW), add(store, BY_NAME["relu"], FEW)]
    write.results(store, first, Results(val_accuracy=0.8, best_val_accuracy=0.8))
    assert "mean best validation mAP" not in page("Runs", group="status").dataframe[0].value
    write.results(store, second, Results(val_map=0.3, best_val_map=0.4))
    write.results(store, third, Results(val_map=0.5, best_val_map=0.6))
    group = page("Runs", group="status").dataframe[0].value.iloc[0]
    assert group["runs"] == 3
    assert group["mean best validation mAP"] == "50.0 %"
    assert group["standard deviation of mAP"] == "14.1 %"


def test_a_table_of_thirty_runs_shows_how_long_each_took_in_a_window_of_1280(store: Store, page: Page) -> None:
    fill(store, 30, FEW)
    table = page("Runs").dataframe[0].proto
    look = json.loads(table.columns)
    shown = ["_checkbox", *table.column_order]
    widths = [{"_checkbox": 32, **{n: c.get("width", 100) for n, c in look.items()}}[name] for name in shown]
    assert sum(widths[: shown.index("took") + 1]) <= 909


def test_how_far_a_run_is_has_a_column_until_all_have_ended(store: Store, page: Page) -> None:
    add(store, BY_NAME["relu"], FEW)
    assert "left" not in page("Runs").dataframe[0].proto.column_order
    add(store, BY_NAME["live"], FEW)
    assert {"done", "left"} <= set(page("Runs").dataframe[0].proto.column_order)


def test_a_run_that_has_only_begun_is_at_no_step_yet(store: Store, page: Page) -> None:
    run_id = add(store, BY_NAME["waiting"])
    write.start(store, run_id, provenance=Provenance(), total_steps=10)
    assert any("live, before its first step" in badge.value for badge in page("Gradient decay").markdown)


def test_the_newest_run_stands_first(store: Store, page: Page) -> None:
    fill(store, 3, [0])
    test = page("Runs")
    assert test.dataframe[0].value["run"].tolist() == ["3 tanh-pn", "2 tanh", "1 sigmoid"]
    test.session_state["picked"] = [1]
    test.run()
    assert test.text_input(key="name_1").value == "sigmoid"


def test_the_worst_layer_is_named_with_its_share_of_the_median(store: Store, page: Page) -> None:
    add(store, BY_NAME["sigmoid"], FEW)
    name, share = page("Runs").dataframe[0].value["worst layer"][0].split(", \N{MULTIPLICATION SIGN}")
    assert name == "fc1"
    assert share.endswith("10⁻⁴")


def test_a_choice_that_is_no_longer_there_is_no_longer_chosen(store: Store, page: Page) -> None:
    run_id = add(store, BY_NAME["relu"], FEW)
    add(store, BY_NAME["tanh"], FEW)
    write.edit(store, run_id, tags=["mine"])
    test = page("Runs")
    test.multiselect(key="tag").set_value(["mine"]).run()
    test.selectbox(key="group").set_value("model.depth").run()
    write.delete(store, run_id)
    test.run()
    assert not test.exception
    assert test.dataframe[-1].value["run"].tolist() == ["2 tanh"]


def test_a_ticked_run_stays_the_same_run_when_another_is_added(store: Store, page: Page) -> None:
    fill(store, 2, FEW)
    test = page("Runs")
    test.session_state["picked"] = [1]
    test.run()
    add(store, BY_NAME["relu"], FEW)
    test.run()
    assert test.text_input(key="name_1").value == "sigmoid"


def test_a_run_is_renamed_and_tagged(store: Store, page: Page) -> None:
    add(store, BY_NAME["relu"], FEW)
    test = page("Runs")
    test.session_state["picked"] = [1]
    test.run()
    test.text_input(key="name_1").set_value("best yet")
    test.text_input(key="tags_1").set_value("good, small")
    test.button(key="save_1").click().run()
    assert not test.exception
    run = read.run(store, 1)
    assert (run.name, run.tags) == ("best yet", ("good", "small"))


def test_what_recording_cost_stands_with_the_other_facts_of_a_run(store: Store, page: Page) -> None:
    add(store, BY_NAME["relu"], FEW)
    pace = Pace(record_every=16, record_budget=0.02)
    skipped = (SkippedStep(step=7, layer=0, kind="gradient"),)
    write.append(store, 1, Batch(recorder_seconds=1.3, watched_seconds=100.0, lost_rows=3, pace=pace, skipped=skipped))
    test = page("Runs")
    test.session_state["picked"] = [1]
    test.run()
    said = "Recording took 1.3 % of the time, every 16 steps for a budget of 2 % · gradient scaling skipped a step once"
    assert any(c.value.startswith(said) and "3 rows were lost" in c.value for c in test.caption)


def test_how_often_is_recorded_may_be_left_to_a_budget(store: Store, app: Page) -> None:
    test = app("Launch", preset="relu")
    test.text_input(key="relu.record.10.every").set_value("auto").run()
    test.text_input(key="relu.record.0.02.budget").set_value("0.05").run()
    test.button(key="start").click().run()
    assert not test.exception
    assert read.runs(store)[0].config["record"]["every"] == "auto"
    assert read.runs(store)[0].config["record"]["budget"] == 0.05


def test_a_run_is_deleted_only_when_its_name_is_typed(store: Store, page: Page) -> None:
    add(store, BY_NAME["relu"], FEW)
    test = page("Runs")
    test.session_state["picked"] = [1]
    test.run()
    test.button(key="delete").click().run()
    assert test.button(key="delete_confirmed").disabled
    test.text_input(key="delete_name").set_value("relu").run()
    test.button(key="delete_confirmed").click().run()
    assert read.runs(store) == []


def test_stopping_a_queued_run(store: Store, page: Page) -> None:
    add(store, BY_NAME["waiting"])
    test = page("Runs")
    test.session_state["picked"] = [1]
    test.run()
    test.button(key="stop").click().run()
    assert read.run(store, 1).status is Status.STOPPED


def test_a_changed_preset_is_queued(store: Store, app: Page) -> None:
    test = app("Launch")
    test.button(key="preset_tanh-pn").click().run()
    test.number_input(key="tanh-pn.model.mlp.depth").set_value(12).run()
    assert "`model.depth` 30 → **12**" in words(test)
    test.text_input(key="name_tanh-pn").set_value("shallow").run()
    test.button(key="start").click().run()
    assert not test.exception
    run = read.runs(store)[0]
    assert (run.name, run.status, run.config["model"]["depth"]) == ("shallow", Status.QUEUED, 12)
    assert test.session_state["runs"] == [1]


def test_a_setting_that_cannot_be_is_explained_at_once(store: Store, page: Page) -> None:
    test = page("Launch", preset="relu")
    test.text_input(key="relu.optimizer.sgd.lr").set_value("-1").run()
    assert "optimizer.lr: input should be greater than 0" in test.error[0].value
    assert test.button(key="start").disabled


def test_with_fewer_epochs_a_tail_left_alone_keeps_its_share(store: Store, page: Page) -> None:
    test = page("Launch", preset="paper-tanh")
    test.number_input(key="paper-tanh.train.20.epochs").set_value(9).run()
    assert not test.error
    assert "`schedule.tail_epochs` 20 → **2**" in words(test)
    test.number_input(key="paper-tanh.schedule.cosine_wave.tail_epochs").set_value(12).run()
    assert "is 12, more than train.epochs (9)" in test.error[0].value


def test_pseudo_norm_on_relu_is_refused_at_once(store: Store, page: Page) -> None:
    test = page("Launch", preset="tanh-pn")
    test.selectbox(key="tanh-pn.model.mlp.activation").set_value("relu").run()
    assert "needs a smooth activation" in test.error[0].value
    assert test.button(key="start").disabled


def test_a_grid_names_its_runs_by_what_varies(store: Store, page: Page) -> None:
    test = page("Launch", preset="relu")
    test.multiselect(key="grid").set_value(["optimizer.lr", "train.seed"]).run()
    test.text_input(key="grid_optimizer.lr").set_value("0.01, 0.1").run()
    test.text_input(key="grid_train.seed").set_value("1, 2, 3").run()
    assert test.button(key="start").label == "Start 6 runs"
    test.button(key="start").click().run()
    assert {run.name for run in read.runs(store)} >= {"relu lr=0.01 seed=1", "relu lr=0.1 seed=3"}


def test_a_run_is_launched_that_its_findings_stop(store: Store, page: Page) -> None:
    test = page("Launch", preset="relu")
    test.selectbox(key="relu.alerts.never.stop").set_value("critical").run()
    test.text_input(key="relu.alerts.None.hook").set_value("nowhere").run()
    assert "is no web address" in test.error[0].value
    test.text_input(key="relu.alerts.None.hook").set_value("http://127.0.0.1:9/hook").run()
    test.button(key="start").click().run()
    newest = max(read.runs(store), key=lambda run: run.id)
    assert (newest.config["alerts"]["stop"], newest.config["alerts"]["hook"]) == ("critical", "http://127.0.0.1:9/hook")


@pytest.mark.parametrize("data", ["folder", "parquet"])
def test_a_data_set_without_its_folder_is_asked_for(store: Store, page: Page, data: str) -> None:
    test = page("Launch", preset="relu")
    test.selectbox(key="relu.data").set_value(data).run()
    assert not test.exception
    assert "needs a folder" in test.error[0].value
    test.text_input(key=f"relu.data.{data}.path").set_value("/nowhere").run()
    assert "cannot be read" in test.error[0].value


def test_every_choice_of_the_form_opens(store: Store, page: Page) -> None:
    from gradscope.config import CHOICES

    test = page("Launch", preset="relu")
    for section, classes in CHOICES.items():
        for name in classes():
            test.selectbox(key=f"relu.{section}").set_value(name).run()
            assert not test.exception, (section, name)


def test_a_file_that_is_no_store_is_refused_in_one_sentence(store: Store, page: Page, tmp_path, monkeypatch) -> None:
    foreign = tmp_path / "notes.txt"
    foreign.write_text("not a database, but more than a hundred bytes of something else" * 3)
    monkeypatch.setenv("GRADSCOPE_STORE", str(foreign))
    test = page("Runs")
    assert not test.exception
    assert "is not a GradScope store" in test.error[0].value


def test_a_store_that_was_taken_away_is_not_replaced_by_an_empty_one(store: Store, page: Page, tmp_path) -> None:
    add(store, BY_NAME["relu"], FEW)
    test = page("Runs")
    (tmp_path / "runs.db").rename(tmp_path / "elsewhere.db")
    test.run()
    assert "was deleted or moved away" in test.error[0].value
    assert not (tmp_path / "runs.db").exists()
    test.button(key="begin_store").click().run()
    assert "No run yet" in test.info[0].value


def test_an_address_of_deleted_runs_says_so_and_shows_the_newest(store: Store, app: Page) -> None:
    add(store, BY_NAME["relu"], FEW)
    test = app("Gradient decay", runs=["7 deleted"])
    assert "The runs of this address are not in this store" in test.sidebar.caption[0].value
    assert test.dataframe[0].value["run"].tolist() == ["relu"]
    assert not app("Gradient decay", runs=["1"]).sidebar.caption


def test_a_name_with_signs_of_markdown_is_shown_as_it_is(store: Store, page: Page) -> None:
    run_id = add(store, BY_NAME["relu"], FEW)
    write.edit(store, run_id, name="__init__ *a* $x$")
    test = page("Runs")
    test.session_state["picked"] = [run_id]
    test.run()
    test.button(key="delete").click().run()
    assert test.text_input(key="delete_name").label == r"Type **\_\_init\_\_ \*a\* \$x\$** to confirm"
    test.text_input(key="delete_name").set_value("__init__ *a* $x$").run()
    assert not test.button(key="delete_confirmed").disabled


@pytest.mark.parametrize("title", ["Gradient decay", "Layers over time", "Learning curves", "Compare"])
def test_every_figure_can_be_taken_away_as_picture_drawing_and_numbers(store: Store, page: Page, title: str) -> None:
    add(store, BY_NAME["sigmoid"], FEW)
    test = page(title)
    test.session_state["downloads"] = True
    test.run()
    assert not test.exception
    labels = [button.proto.label for button in test.get("download_button") if button.proto.label.isupper()]
    assert labels == ["CSV", "PARQUET", *["PNG", "SVG", "CSV", "PARQUET"] * len(specs(test))]
