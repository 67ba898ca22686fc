import os
import signal
import threading

import pytest
import torch
from safetensors.torch import load_file

from gradscope.config import RunConfig
from gradscope.errors import ConfigError, DataError
from gradscope.overrides import with_overrides
from gradscope.presets import preset
from gradscope.process import pick_device
from gradscope.records import Batch, Kind, Metric, Status
from gradscope.store import open_store, read, write
from gradscope.train import train


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "runs.db", create=True)
    yield opened
    opened.close()


def small(**changes):
    """Four tanh layers on 300 digits: 6 steps an epoch."""
    settings = {
        "model.depth": 4,
        "model.width": 16,
        "data.limit": 300,
        "data.val_fraction": 0.2,
        "train.batch_size": 40,
        "train.epochs": 2,
        "train.device": "cpu",
        "record.every": 4,
    }
    dotted = {name.replace("__", "."): value for name, value in changes.items()}
    return with_overrides(RunConfig(), settings | dotted)


def queued(store, config, name="a"):
    return write.create_run(
        store, name=name, source="train", config=config.model_dump(mode="json"), status=Status.RUNNING
    )


def curve(store, run_id, name):
    frame = read.metrics(store, [run_id], [name])
    return dict(zip(frame["step"], frame["value"], strict=True))


def test_a_run_is_trained_recorded_validated_and_tested(store):
    run_id = queued(store, small())
    assert train(store, run_id) is Status.COMPLETED

    run = read.run(store, run_id)
    assert run.status is Status.COMPLETED
    assert run.progress.last_step == 11
    assert run.progress.total_steps == 12
    assert run.n_parameters == 64 * 16 + 16 + 2 * (16 * 16 + 16) + 16 * 10 + 10
    assert run.provenance.seed == 0
    assert run.provenance.device == "cpu"
    assert run.provenance.data_fingerprint
    assert {"torch", "python"} <= set(run.provenance.versions)
    assert 0 <= run.results.test_accuracy <= 1
    assert run.results.best_val_accuracy >= run.results.val_accuracy
    assert sorted(curve(store, run_id, "train_loss")) == list(range(12))
    assert sorted(curve(store, run_id, "val_accuracy")) == [5, 11]
    assert read.steps(store, [run_id])["step"].tolist() == [0, 1, 2, 4, 8]
    assert read.layers(store, [run_id])["n_weights"].tolist() == [1024, 256, 256, 160]
    for kind in (Kind.GRADIENT, Kind.SIGNAL, Kind.ACTIVATION, Kind.WEIGHT, Kind.UPDATE):
        assert (read.profile(store, [run_id], kind)["rms"] > 0).all(), kind


def test_the_same_seed_gives_the_same_training(store):
    twins = [queued(store, small(data__augment="flip_crop")) for _ in range(2)]
    for run_id in twins:
        train(store, run_id)
    one, other = (curve(store, run_id, "train_loss") for run_id in twins)
    assert one == other


def test_another_seed_gives_another(store):
    runs = [queued(store, small(train__seed=seed)) for seed in (0, 1)]
    for run_id in runs:
        train(store, run_id)
    one, other = (curve(store, run_id, "train_loss") for run_id in runs)
    assert one != other


@pytest.mark.parametrize("stop_after", [3, 6, 8])
def test_a_run_that_was_stopped_and_resumed_ends_as_if_it_had_not_been(store, stop_after):
    config = small(optimizer__momentum=0.9, data__augment="flip_crop", train__epochs=3)
    whole, cut = queued(store, config), queued(store, config)
    train(store, whole)

    told_at_every_step(lambda: train(store, cut, on_progress=stop_at(stop_after)))
    run = read.run(store, cut)
    assert run.status is Status.STOPPED
    assert run.progress.last_step < 17
    write.requeue(store, cut)
    assert train(store, cut) is Status.COMPLETED

    for name in ("train_loss", "train_accuracy", "val_accuracy", "val_loss"):
        assert curve(store, cut, name) == curve(store, whole, name)
    assert read.run(store, cut).results == read.run(store, whole).results
    seconds = read.metrics(store, [cut], ["train_loss"])["seconds"]
    assert seconds.is_monotonic_increasing, "the time of a resumed run counts on"
    assert read.run(store, cut).progress.seconds >= seconds.max()
    weights = [load_file(store.paths(run_id).model) for run_id in (whole, cut)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.parametrize("batch_size", [40, 1000])
def test_an_epoch_that_was_finished_is_validated_before_a_stop_is_obeyed(store, batch_size):
    config = small(train__batch_size=batch_size)
    run_id = queued(store, config)
    per_epoch = 6 if batch_size == 40 else 1

    told_at_every_step(lambda: train(store, run_id, on_progress=stop_at(per_epoch)))
    assert read.run(store, run_id).status is Status.STOPPED
    assert list(curve(store, run_id, "val_accuracy")) == [per_epoch - 1]


def test_a_run_that_starts_anew_without_a_checkpoint_forgets_its_earlier_life(store):
    run_id = queued(store, small())
    write.append(store, run_id, Batch(metrics=(Metric(name="train_loss", step=99, value=1.0),)))
    train(store, run_id)
    assert sorted(curve(store, run_id, "train_loss")) == list(range(12))


def stop_at(step):
    """Sends one SIGTERM, once the training is there; a second one would end it at once."""
    sent = []

    def tell(progress):
        if progress.step >= step and not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)

    return tell


def told_at_every_step(action):
    from gradscope import train as module

    seconds = module.PROGRESS_SECONDS
    module.PROGRESS_SECONDS = 0.0
    try:
        action()
    finally:
        module.PROGRESS_SECONDS = seconds


def test_a_wish_in_the_store_stops_a_run(store):
    run_id = queued(store, small(train__epochs=10_000))
    asked = threading.Event()

    def ask_once(progress):
        if progress.step > 0 and not asked.is_set():
            asked.set()
            write.request_stop(store, run_id)

    assert train(store, run_id, on_progress=ask_once) is Status.STOPPED
    assert read.run(store, run_id).status is Status.STOPPED
    assert store.paths(run_id).resume.exists()


def test_a_run_can_be_stopped_while_its_pictures_are_made(store):
    run_id = queued(store, small(data="shapes", data__train_size=4000))
    stop_at_once = lambda progress: os.kill(os.getpid(), signal.SIGTERM)  # noqa: E731
    assert train(store, run_id, on_progress=stop_at_once) is Status.STOPPED
    assert read.run(store, run_id).status is Status.STOPPED
    assert not store.paths(run_id).resume.exists()


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_layer(store):
    run_id = queued(store, small(model__activation="identity", optimizer__lr=50, train__epochs=10))
    assert train(store, run_id) is Status.DIVERGED

    run = read.run(store, run_id)
    assert run.status is Status.DIVERGED
    assert run.nonfinite is not None
    assert f"at step {run.nonfinite.step}" in run.error
    assert "lower the learning rate" in run.error
    losses = curve(store, run_id, "train_loss")
    assert losses[max(losses)] != losses[max(losses)], "the last loss is NaN"


def test_a_run_may_go_on_after_its_loss_is_not_finite(store):
    changes = {"model__activation": "identity", "optimizer__lr": 50, "train__on_nonfinite": "continue"}
    run_id = queued(store, small(**changes, train__epochs=4))
    assert train(store, run_id) is Status.COMPLETED
    run = read.run(store, run_id)
    assert run.progress.last_step == 23
    assert run.nonfinite is not None


def test_bad_data_fail_the_run_with_their_own_sentence(store):
    run_id = queued(store, small(data="parquet:/nowhere"))
    with pytest.raises(DataError):
        train(store, run_id)
    run = read.run(store, run_id)
    assert run.status is Status.FAILED
    assert "/nowhere" in run.error


def test_progress_tells_phase_loss_and_time_left(store):
    told = []
    told_at_every_step(lambda: train(store, queued(store, small()), on_progress=told.append))
    assert told[0].phase == "loading data"
    assert "evaluating" in {p.phase for p in told}
    training = [p for p in told if p.phase == "training"]
    assert [p.step for p in training] == list(range(1, 13))
    assert all(p.loss > 0 and p.total_steps == 12 and p.seconds_left >= 0 for p in training)


@pytest.mark.parametrize("name", ["sigmoid", "tanh-pn", "tanh-residual", "relu", "relu-batch-norm", "resnet"])
def test_every_small_preset_trains(store, name):
    config = with_overrides(preset(name).config, {"train.epochs": 1, "data.limit": 120, "train.device": "cpu"})
    run_id = queued(store, config, name)
    assert train(store, run_id) is Status.COMPLETED


@pytest.mark.slow
@pytest.mark.parametrize("name", ["paper-tanh", "paper-tanh-pn", "paper-relu"])
def test_every_paper_preset_trains(store, name):
    changes = {"train.epochs": 1, "schedule.tail_epochs": 0, "data.limit": 200, "train.device": "cpu"}
    assert train(store, queued(store, with_overrides(preset(name).config, changes))) is Status.COMPLETED


def test_a_device_that_is_not_there_is_refused():
    assert pick_device("cpu").type == "cpu"
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match="'cuda' is not on this machine; use auto or one of cpu"):
            pick_device("cuda")
