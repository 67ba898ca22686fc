"""A run from `gradscope.init` to `finish`, read back from a real store."""

import argparse
import math

import numpy as np
import pytest
import torch
from sessions import stored, train, wait_until
from torch import nn

import gradscope
from gradscope.errors import RecorderError
from gradscope.recorder import current
from gradscope.recorder.session import Session
from gradscope.records import Kind, NonFinite, Pace, Results, Status
from gradscope.store import open_store, read, write


def test_a_run_from_the_first_line_to_the_last(path):
    run = gradscope.init(name="tanh", config={"lr": 0.1}, store=path, tags=("a", "b"), note="first")
    train(run, 5, log="all")
    run.finish()
    info = stored(path, run)
    assert (info.name, info.status, info.source) == ("tanh", Status.COMPLETED, "attached")
    assert (info.config, info.tags, info.note) == ({"lr": 0.1}, ("a", "b"), "first")
    assert (info.n_parameters, info.progress.last_step, info.lost_rows) == (44, 4, 0)
    assert info.provenance.device == "cpu"
    assert info.provenance.versions["torch"] == torch.__version__.split("+")[0]
    assert info.recorder_seconds > 0
    reader = gradscope.open(path).run(run.id)
    stats = reader.layer_stats()
    assert sorted(stats.step.unique()) == [0, 1, 2, 3, 4]
    assert set(stats.kind) == {"gradient", "signal", "activation", "weight", "update"}
    assert reader.layers().name.tolist() == ["0", "2"]
    assert reader.metrics().step.tolist() == [0, 1, 2, 3, 4]
    assert reader.histograms("0").groupby("step")["count"].sum().tolist() == [24] * 5


def test_the_current_run_is_known_to_the_module(path):
    gradscope.init(name="by module", store=path)
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    gradscope.watch(model, optimizer)
    model(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    gradscope.log({"loss": 1.0})
    gradscope.finish()
    with pytest.raises(RecorderError, match=r"gradscope.init\(name=...\) first"):
        gradscope.log({"loss": 1.0})


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [
        (None, Status.COMPLETED, None),
        (ValueError("bad batch"), Status.FAILED, "ValueError: bad batch"),
        (KeyboardInterrupt(), Status.STOPPED, None),
        (SystemExit(0), Status.COMPLETED, None),
        (SystemExit(3), Status.FAILED, "SystemExit: 3"),
    ],
)
def test_the_end_of_a_with_block_is_the_end_of_the_run(path, error, status, cause):
    def body():
        with gradscope.init(name="block", store=path) as run:
            run.log({"loss": 1.0})
            if error is not None:
                raise error

    if error is None:
        body()
    else:
        with pytest.raises(type(error)):
            body()
    info = read.run(open_store(path), 1)
    assert (info.status, info.error) == (status, cause)


def test_a_run_that_ended_takes_no_more(path):
    run = gradscope.init(store=path)
    run.finish()
    run.finish()
    with pytest.raises(RecorderError, match="has ended"):
        run.log({"loss": 1.0})
    with pytest.raises(RecorderError, match="has ended"):
        run.watch(nn.Linear(2, 2))


def test_a_run_watches_one_model_at_a_time(path):
    with gradscope.init(store=path) as run:
        run.watch(nn.Linear(2, 2))
        with pytest.raises(RecorderError, match="unwatch"):
            run.watch(nn.Linear(2, 2))
        run.unwatch()
        run.watch(nn.Linear(2, 2))
        run.unwatch()
        with pytest.raises(RecorderError, match=r"call watch\(model\) first"):
            run.record_step()


def test_a_run_can_only_end_in_an_end(path):
    run = gradscope.init(store=path)
    with pytest.raises(RecorderError, match="a run ends as stopped, completed"):
        run.finish("running")
    run.finish("failed", error="a reason")
    assert stored(path, run).error == "a reason"


@pytest.mark.parametrize(
    "value", [2, 2.0, True + 1, np.float32(2), np.int64(2), np.array(2.0), torch.tensor(2.0), torch.tensor([2])]
)
def test_any_single_number_can_be_logged(path, value):
    with gradscope.init(store=path) as run:
        run.log({"x": value})
    assert gradscope.open(path).run(run.id).metrics().value.tolist() == [2.0]


@pytest.mark.parametrize("value", ["2", None, [2.0], torch.ones(2), np.ones(3), 1j])
def test_what_is_no_single_number_is_refused_by_name(path, value):
    with gradscope.init(store=path) as run, pytest.raises(RecorderError, match=r"log\('x'\) was given"):
        run.log({"x": value})


@pytest.mark.parametrize("name", ["", "x" * 201, 3])
def test_a_curve_needs_a_name(path, name):
    with gradscope.init(store=path) as run, pytest.raises(RecorderError, match="a curve's name is text"):
        run.log({name: 1.0})


def test_values_that_are_not_finite_are_kept_and_a_loss_is_noted(path):
    with gradscope.init(store=path) as run:
        run.log({"train_loss": 1.0}, step=0)
        run.log({"train_loss": torch.tensor(math.nan), "other": math.inf}, step=1)
    assert gradscope.open(path).run(run.id).metrics().value.isna().tolist() == [True, False, True]
    assert stored(path, run).nonfinite == NonFinite(step=1, layer=None, kind="loss")


def test_a_layer_that_is_not_finite_is_found_and_named(path):
    run = gradscope.init(store=path)
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    run.watch(model, optimizer, every=1, log="all")
    with torch.no_grad():
        model[1].weight.fill_(math.inf)
    loss = model(torch.ones(1, 2)).sum()
    run.log({"loss": loss})
    loss.backward()
    optimizer.step()
    run.finish(Status.DIVERGED)
    assert stored(path, run).nonfinite == NonFinite(step=0, layer="1", kind="activation")


def test_the_first_place_stays_unless_a_later_look_names_the_layer(path):
    with gradscope.init(store=path) as run:
        run.note_nonfinite(NonFinite(step=5, layer=None, kind="loss"))
        run.note_nonfinite(NonFinite(step=9, layer="a", kind="gradient"))
        assert run.nonfinite.step == 5
        run.note_nonfinite(NonFinite(step=6, layer="b", kind="weight"))
        run.note_nonfinite(NonFinite(step=7, layer="c", kind="weight"))
        assert run.nonfinite == NonFinite(step=6, layer="b", kind="weight")


def test_steps_of_a_loop_that_logs_before_its_step(path):
    with gradscope.init(store=path) as run:
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        run.watch(model, optimizer)
        for _ in range(3):
            loss = model(torch.ones(1, 2)).sum()
            run.log({"loss": loss})
            loss.backward()
            optimizer.step()
    assert gradscope.open(path).run(run.id).metrics().step.tolist() == [0, 1, 2]


@pytest.mark.parametrize("mode", ["enabled", "disabled"])
def test_the_step_is_public_and_the_same_in_a_disabled_session(path, mode):
    with gradscope.init(store=path, mode=mode) as run:
        seen = [run.step]
        run.log({"x": 1.0})
        seen.append(run.step)
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), 0.1)
        run.watch(model, optimizer, step=5)
        for _ in range(2):
            seen.append(run.step)
            model(torch.ones(1, 2)).sum().backward()
            optimizer.step()
        seen.append(run.step)
        run.unwatch()
        optimizer.step()
        run.log({"x": 1.0})
        seen.append(run.step)
        run.watch(model)
        run.record_step()
        seen.append(run.step)
    assert seen == [0, 1, 5, 6, 7, 7, 1]
    assert run.step == 1


def test_what_recording_cost_and_how_often_it_was_done_are_on_the_run(path):
    with gradscope.init(store=path) as run:
        train(run, 40, every="auto")
    info = stored(path, run)
    assert info.pace.record_budget == 0.02
    assert info.pace.record_every in [2**k for k in range(20)]
    assert 0 < info.recorder_seconds < info.watched_seconds
    recorded = gradscope.open(path).run(run.id).layer_stats([Kind.GRADIENT]).step.unique()
    assert {0, 1, 2, 4, 8, 16, 32} <= {*recorded}


@pytest.mark.parametrize(
    ("options", "pace"), [({"every": 3}, Pace(record_every=3)), ({"every": [0]}, Pace()), ({"every": bool}, Pace())]
)
def test_a_fixed_schedule_says_how_often_if_it_can(path, options, pace):
    with gradscope.init(store=path) as run:
        train(run, 2, **options)
    assert stored(path, run).pace == pace


def test_times_add_up_over_several_watches(path):
    with gradscope.init(store=path) as run:
        train(run, 2)
        run.unwatch()
        first = run.recorder_seconds
        train(run, 2)
        run.unwatch()
        assert run.recorder_seconds > first > 0
    assert stored(path, run).recorder_seconds == pytest.approx(run.recorder_seconds)


def test_without_a_watched_model_each_call_is_a_step_and_an_explicit_step_wins(path):
    with gradscope.init(store=path) as run:
        run.log({"x": 1.0})
        run.log({"x": 2.0}, epoch=0.5)
        run.log({"x": 3.0}, step=10)
    metrics = gradscope.open(path).run(run.id).metrics()
    assert metrics.step.tolist() == [0, 1, 10]
    assert metrics.epoch.tolist()[1] == 0.5


def test_progress_and_results_are_on_the_run(path):
    with gradscope.init(store=path) as run:
        run.progress(epoch=1.5, total_steps=100)
        run.progress(samples_per_second=20.0, phase="training")
        run.results(Results(val_accuracy=0.5))
        wait_until(lambda: stored(path, run).progress.phase == "training")
        progress = stored(path, run).progress
    assert (progress.epoch, progress.total_steps, progress.samples_per_second) == (1.5, 100, 20.0)
    assert stored(path, run).results.val_accuracy == 0.5


@pytest.mark.parametrize(
    "config", [{"lr": 0.1, "deep": {"a": [1, None]}}, argparse.Namespace(lr=0.1, deep={"a": (1, None)})]
)
def test_settings_may_be_a_mapping_or_a_namespace(path, config):
    with gradscope.init(store=path, config=config) as run:
        pass
    assert stored(path, run).config == {"lr": 0.1, "deep": {"a": [1, None]}}


def test_settings_without_a_json_form_are_kept_as_text(path):
    config = {"model": nn.Tanh(), "nan": math.nan, "device": torch.device("cpu"), "lr": np.float32(0.5), 3: {"b"}}
    with gradscope.init(store=path, config=config) as run:
        pass
    assert stored(path, run).config == {"model": "Tanh()", "nan": "nan", "device": "cpu", "lr": 0.5, "3": ["b"]}


def test_settings_of_no_kind_are_refused(path):
    with pytest.raises(RecorderError, match="config is a list"):
        gradscope.init(store=path, config=[1, 2])


@pytest.mark.parametrize("how", ["argument", "variable", "rank"])
def test_a_disabled_session_accepts_everything_and_writes_nothing(path, monkeypatch, how):
    if how == "variable":
        monkeypatch.setenv(current.MODE_VARIABLE, "disabled")
    if how == "rank":
        monkeypatch.setenv("RANK", "1")
    with gradscope.init(store=path, mode="disabled" if how == "argument" else None) as run:
        train(run, 2)
        with run.recording():
            run.record_step()
        run.progress(epoch=1.0)
        run.results(Results())
        gradscope.log({"x": 1.0})
        assert (run.stop_requested, run.lost_rows, run.nonfinite, run.recorder_seconds) == (False, 0, None, 0.0)
    assert not path.exists()


def test_an_unknown_mode_is_refused(path):
    with pytest.raises(RecorderError, match="GRADSCOPE_MODE"):
        gradscope.init(store=path, mode="offline")


def test_every_public_method_of_a_session_is_harmless_in_a_disabled_one():
    public = {name for name in vars(Session) if not name.startswith("_")} - {"attach"}
    assert public <= {*vars(current.Disabled)}


def test_a_session_can_attach_to_a_run_that_exists(path):
    store = open_store(path, create=True)
    run_id = write.create_run(store, name="queued", source="train", config={}, status=Status.RUNNING)
    run = Session.attach(store, run_id)
    train(run, 2)
    run.finish()
    assert read.run(store, run_id).n_parameters is None
    assert read.run(store, run_id).progress.last_step == 1


def test_a_heartbeat_goes_on_and_a_wish_to_stop_arrives(path):
    with gradscope.init(store=path) as run:
        first = stored(path, run).heartbeat
        wait_until(lambda: stored(path, run).heartbeat > first)
        assert not run.stop_requested
        write.request_stop(open_store(path), run.id)
        wait_until(lambda: run.stop_requested)
