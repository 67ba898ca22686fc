"""The page Distillation on students that wait, learn, are measured, and have their network alone beside them."""

import json

import pytest

from gradscope.distilled import Distilled
from gradscope.jobs.teaching import taught_by, teacher_config
from gradscope.overrides import with_overrides
from gradscope.presets import preset
from gradscope.records import Batch, Layer, Metric, Results, Status, TermCosine, TermGradient
from gradscope.store import write, write_distilled

TITLE = "Distillation"
STUDENT = preset("kd-hinton").config
BESIDE = Distilled(
    fingerprint="f",
    teacher_fingerprint="t",
    images=100,
    step=9,
    teacher_run=1,
    agreement=0.925,
    divergences={"1": 0.4, "4": 0.1},
    accuracy=0.85,
    teacher_accuracy=0.9,
    parameters=75_000,
    teacher_parameters=270_000,
    macs=12_000_000,
    teacher_macs=41_000_000,
    milliseconds={"1": 1.5, "128": 60.0},
    teacher_milliseconds={"1": 4.0, "128": 210.0},
    device="cpu",
)


def run_of(store, config, name, accuracy=None, **given):
    values = config.model_dump(mode="json")
    run = write.create_run(store, name=name, source="train", config=values, status=Status.RUNNING, **given)
    points = tuple(Metric(name="val_accuracy", step=s, value=0.1 * s, epoch=float(s)) for s in range(5))
    write.append(store, run, Batch(metrics=points))
    if accuracy is not None:
        write.results(store, run, Results(test_accuracy=accuracy))
        write.finish(store, run, Status.COMPLETED)
    return run


def split(store, run):
    names = ("conv", "stages.0.0.conv1", "output")
    write.layers(
        store, run, [Layer(index=i, name=n, type="Conv2d", shape=(4, 4), n_weights=16) for i, n in enumerate(names)]
    )
    rows = [
        TermGradient(step=s, layer=layer, term=term, share=share, rms=1.0)
        for s in (0, 10)
        for layer in range(3)
        for term, share in (("label", 0.25 + 0.1 * layer), ("distillation", 0.75 - 0.1 * layer))
    ]
    angles = [
        TermCosine(step=s, layer=n, term="label", other="distillation", cosine=0.5) for s in (0, 10) for n in range(3)
    ]
    write.append(store, run, Batch(term_gradients=tuple(rows), term_cosines=tuple(angles)))


@pytest.fixture
def taught(store):
    teacher = run_of(store, teacher_config(STUDENT), "teacher", 0.9)
    student = run_of(store, taught_by(STUDENT, teacher), "student", 0.85)
    split(store, student)
    return teacher, student


def titles(test):
    return [json.loads(chart.proto.spec)["title"]["text"] for chart in test.get("vega_lite_chart")]


def texts(test):
    return " ".join(
        [*(m.value for m in test.markdown), *(c.value for c in test.caption), *(i.value for i in test.info)]
    )


def test_shares_curves_and_angles_are_shown(taught, page):
    test = page(TITLE)
    assert not test.exception
    assert titles(test) == [
        "Share of each term of the loss in the gradient",
        "Accuracy of student and teacher",
        "Cosine between the terms' gradients",
    ]
    assert "launch one without the method" in texts(test)
    assert "press Measure above" in texts(test)


def test_the_gap_needs_the_student_alone(store, taught, page):
    alone = run_of(store, with_overrides(STUDENT, {"methods.kd_hinton": False}), "alone", 0.8)
    test = page(TITLE, runs=[str(taught[1])])
    (row,) = test.dataframe[0].value.to_dict("records")
    assert row["gap closed"] == "50.0 %"
    assert (row["on test pictures"], row["alone"], row["teacher's"]) == ("85.0 %", "80.0 %", "90.0 %")
    assert row["teacher"] == f"run {taught[0]}"
    assert "Accuracy of student, teacher and student alone" in titles(test)
    assert alone


def test_what_was_measured_stands_beside_it(store, taught, page):
    write_distilled.distilled(store, taught[1], BESIDE)
    test = page(TITLE)
    assert test.dataframe[0].value["agreement"].tolist() == ["92.5 %"]
    assert "Distance from the teacher's answers" in titles(test)
    costs = test.dataframe[1].value
    assert costs["network"].tolist() == [f"student, run {taught[1]}", f"teacher of run {taught[1]}"]
    assert [float(text) for text in costs["ms, 128 at once"]] == [60, 210]


def test_a_student_that_waits_is_told_of(store, page):
    teacher = run_of(store, teacher_config(STUDENT), "teacher")
    values = taught_by(STUDENT, teacher).model_dump(mode="json")
    student = write.create_run(
        store, name="small", source="train", config=values, status=Status.QUEUED, waits_for=teacher
    )
    test = page(TITLE, runs=[str(student)])
    assert not test.exception
    assert f"{student} small waits for run {teacher}" in texts(test)
    assert "No gradient was split by term yet" in texts(test)


def test_runs_without_a_teacher_are_shown_the_way_to_one(store, page):
    run_of(store, teacher_config(STUDENT), "plain", 0.9)
    test = page(TITLE)
    assert not test.exception
    assert "None of these runs has a teacher" in texts(test)
    assert [button.label for button in test.button] == ["Launch a student"]


def test_the_step_is_in_the_address(taught, page):
    test = page(TITLE, split_at="0")
    assert test.select_slider(key="split_at").value == 0


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["kd-hinton", "kd-fitnet", "kd-kr"])
def test_a_student_can_be_launched_from_its_preset_as_it_is(page, name):
    test = page("Launch", preset=name)
    assert not test.exception
    assert not test.error
    assert not test.button(key="start").disabled
    assert "Its teacher is trained first, 15 epochs, and the student waits for it." in texts(test)


def test_the_launch_page_says_when_a_teacher_is_there_already(store, page):
    teacher = run_of(store, teacher_config(STUDENT), "big", 0.9)
    assert f"Run {teacher} (big) was trained just as its teacher has to be" in texts(page("Launch", preset="kd-hinton"))
