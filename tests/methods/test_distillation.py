"""Every method trains a student on digits by a real teacher; teachers that do not fit are refused."""

import os
import shutil
import signal

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from gradscope import train as training
from gradscope.checkpoint import About, read_weights
from gradscope.config import RunConfig, parse_config
from gradscope.data import load, normaliser
from gradscope.errors import CheckpointError, ConfigError, RunNotFound
from gradscope.evaluate.accuracy import accuracy
from gradscope.methods.kd_hinton import KdHintonMethod
from gradscope.methods.kd_kr import KdKrMethod
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import open_store, read, read_terms, write
from gradscope.teachers import load_teacher
from gradscope.train import Training, train
from gradscope.trained import load_trained

BASE = with_overrides(
    RunConfig(),
    {
        "model.name": "resnet",
        "model.depth": 8,
        "model.width": 8,
        "data.limit": 600,
        "train.batch_size": 50,
        "train.epochs": 5,
        "train.device": "cpu",
        "optimizer.lr": 0.03,
        "optimizer.momentum": 0.9,
        "record.every": 10,
        "record.log": "gradients",
    },
)
SETTINGS = {
    "kd_hinton": {},
    "kd_fitnet": {"kd_weight": 0.5},
    "kd_fsp": {"fsp_weight": 1},
    "kd_nst": {},
    "kd_attention": {"attention_weight": 20},
    "kd_gan": {"teacher_learns": 1e-4},
    "kd_kr": {"gan": True, "merge_rate": 2},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = open_store(tmp_path_factory.mktemp("kd") / "runs.db", create=True)
    yield opened
    opened.close()


def trained(store, config, name="a"):
    run_id = queued(store, config, name)
    assert train(store, run_id) is Status.COMPLETED
    return run_id


def queued(store, config, name="a"):
    values = config.model_dump(mode="json")
    return write.create_run(store, name=name, source="train", config=values, status=Status.RUNNING)


@pytest.fixture(scope="module")
def teacher(store):
    return trained(store, with_overrides(BASE, {"model.depth": 14}), "teacher")


def student_of(teacher, method, changes=None, **settings):
    named = {f"methods.{method}.{key}": value for key, value in {"teacher_run": teacher, **settings}.items()}
    return with_overrides(BASE, {**named, **(changes or {})})


def curve(store, run_id, name):
    frame = read.metrics(store, [run_id], [name])
    return dict(zip(frame["step"], frame["value"], strict=True))


IN_SECONDS = ("kd_hinton", "kd_attention", "kd_kr")
"""Methods of which a training on digits is short enough to be tried each time, and the one that has all terms."""


@pytest.mark.parametrize(
    "method", [pytest.param(name, marks=() if name in IN_SECONDS else pytest.mark.slow) for name in SETTINGS]
)
def test_every_method_trains_a_student_on_digits(store, teacher, method):
    run_id = trained(store, student_of(teacher, method, **SETTINGS[method]))
    assert read.run(store, run_id).results.best_val_accuracy > 0.3
    names = set(read.metrics(store, [run_id])["name"])
    terms = {name.removeprefix("loss/") for name in names if name.startswith("loss/")}
    assert (
        terms
        == {
            "kd_hinton": {"label", "distillation"},
            "kd_fitnet": {"label", "distillation", "hint"},
            "kd_fsp": set(),
            "kd_nst": {"label", "selectivity"},
            "kd_attention": {"label", "attention"},
            "kd_gan": {"label", "adversary", "mimic"},
            "kd_kr": {"label", "penalty", "adversary", "mimic"},
        }[method]
    )
    if terms:
        shares = read_terms.term_series(store, run_id)
        assert set(shares["term"]) == terms
        assert shares.groupby(["step", "layer"])["share"].sum().to_numpy() == pytest.approx(1, abs=1e-6)
    student = load_trained(store, run_id, torch.device("cpu"))
    assert (
        accuracy(student.model, student.data.test, student.normalise)[1]
        == read.run(store, run_id).results.test_accuracy
    )


@pytest.mark.parametrize(
    "changes",
    [{"recode_on": "weights"}, {"dense": True}, {"kd_weight": 0.5}],
    ids=["recoding on the weights", "dense", "with Hinton's term"],
)
def test_the_readings_of_knowledge_representing(store, teacher, changes):
    run_id = trained(store, student_of(teacher, "kd_kr", {"train.epochs": 2}, merge_rate=2, **changes))
    assert read.run(store, run_id).results.best_val_accuracy > 0.15


def test_the_thresholds_of_a_training_settle_where_the_theory_says(store, teacher):
    config = student_of(teacher, "kd_kr", {"train.epochs": 6}, merge_rate=2, kappa=3.0, threshold_rate=0.3)
    at_work = at_the_start(store, config)
    (method,) = at_work.methods
    assert isinstance(method, KdKrMethod)
    for epoch in range(6):
        at_work.epoch(epoch)
    inside = [
        (u.abs() <= t).double().mean().item()
        for u, t in zip(method.differences(at_work.model), method.thresholds, strict=True)
    ]
    assert sum(inside) / len(inside) == pytest.approx(2 / 3, abs=0.08)


def at_the_start(store, config):
    from gradscope.recorder.session import Session

    run_id = queued(store, config)
    return Training(config, Session.attach(store, run_id), store, lambda _: None)


@pytest.mark.parametrize("method", ["kd_fitnet", "kd_gan", "kd_kr"])
def test_a_stopped_student_goes_on_as_if_it_had_not(store, teacher, method, monkeypatch):
    monkeypatch.setattr(training, "PROGRESS_SECONDS", 0.0)
    changes = {"data.limit": 200, "train.epochs": 2, "data.augment": "flip_crop"}
    config = student_of(teacher, method, changes, **SETTINGS[method])
    whole = trained(store, config)
    cut, sent = queued(store, config), []

    def stop(progress):
        if progress.step >= 3 and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))

    assert train(store, cut, on_progress=stop) is Status.STOPPED
    write.requeue(store, cut)
    assert train(store, cut) is Status.COMPLETED
    assert curve(store, cut, "train_loss") == curve(store, whole, "train_loss")
    weights = [load_file(store.paths(run_id).model) for run_id in (whole, cut)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_first_stage_trains_on_the_hint_alone(store, teacher):
    changes = {"data.limit": 200, "train.epochs": 2}
    run_id = trained(store, student_of(teacher, "kd_fitnet", changes, first_stage=0.5, kd_weight=1.0))
    steps = set(curve(store, run_id, "train_loss"))
    assert set(curve(store, run_id, "loss/label")) == {s for s in steps if s >= len(steps) // 2}
    assert curve(store, run_id, "loss/hint") == {}, "a single term is the loss itself"
    layers = read.layers(store, [run_id]).set_index("name")["layer"]
    first = read.profile(store, [run_id], "gradient", 0).set_index("layer")["n"]
    assert first[layers["stages.1.0.conv2"]] > 0
    assert first[layers["stages.2.0.conv1"]] == 0, "what lies above the hint does not learn yet"


def test_the_teacher_is_asked_once_where_pictures_are_not_augmented(store, teacher):
    passes = []
    for augment in ("none", "flip_crop"):
        at_work = at_the_start(store, student_of(teacher, "kd_hinton", {"data.augment": augment}))
        (method,) = at_work.methods
        assert isinstance(method, KdHintonMethod)
        assert not method.teacher.training
        assert not any(p.requires_grad for p in method.teacher.parameters())
        passes.append([])
        method.teacher.register_forward_hook(lambda *_: passes[-1].append(1))
        at_work.epoch(0)
    assert len(passes[0]) == 0
    assert len(passes[1]) == at_work.steps_per_epoch


def test_known_answers_are_those_of_the_pictures_in_the_batch(store, teacher):
    at_work = at_the_start(store, student_of(teacher, "kd_hinton"))
    (method,) = at_work.methods
    batch = next(iter(at_work._batches(0)))
    torch.testing.assert_close(method.ask(batch)[0], method.teacher(batch.images), rtol=1e-4, atol=1e-5)


def test_a_teacher_by_file_says_itself_what_network_it_is(store, teacher, tmp_path):
    file = tmp_path / "teacher.safetensors"
    shutil.copy(store.paths(teacher).model, file)
    config = student_of(None, "kd_hinton", teacher_file=str(file))
    data = load(config.data, seed=0)
    net = load_teacher(store, config.methods[0], config, data)
    own = load_trained(store, teacher, torch.device("cpu"))
    x = normaliser(config.data, data)(data.test.images[:8])
    assert torch.equal(net(x), own.model(x))


def test_a_file_of_another_program_is_of_the_network_that_is_named(store, teacher, tmp_path):
    file = tmp_path / "plain.safetensors"
    save_file(read_weights(store.paths(teacher).model)[0], file)
    config = student_of(None, "kd_hinton", teacher_file=str(file), teacher_model="resnet:depth=14,width=8")
    data = load(config.data, seed=0)
    assert isinstance(load_teacher(store, config.methods[0], config, data), nn.Module)
    other = student_of(None, "kd_hinton", teacher_file=str(file), teacher_model="resnet:depth=8,width=8")
    with pytest.raises(CheckpointError, match=r"plain\.safetensors is of another model"):
        load_teacher(store, other.methods[0], other, data)


def test_a_teacher_of_other_classes_pictures_or_normalisation_is_refused(store, teacher, tmp_path):
    path = store.paths(teacher).model
    weights, metadata = read_weights(path)
    about = About.of(metadata)
    assert about.classes == tuple(map(str, range(10)))
    assert about.shape == (1, 8, 8)
    data = load(BASE.data, seed=0)
    for change, said in (
        ({"classes": ("cat", "dog")}, r"other classes \(cat, dog\) than the student's \(0, 1, 2"),
        ({"shape": (3, 32, 32)}, r"other pictures \(3x32x32\) than the student's \(1x8x8\)"),
        ({"normalise": "unit"}, r"other normalisation \(unit\) than the student's \(channel\)"),
    ):
        file = tmp_path / "other.safetensors"
        save_file(weights, file, metadata=About(**{**vars(about), **change}).metadata())
        config = student_of(None, "kd_hinton", teacher_file=str(file))
        with pytest.raises(CheckpointError, match=said):
            load_teacher(store, config.methods[0], config, data)


def test_a_teacher_that_is_not_there_is_refused(store, teacher, tmp_path):
    data = load(BASE.data, seed=0)

    def refusal(error, **settings):
        config = student_of(settings.pop("teacher_run", None), "kd_hinton", **settings)
        with pytest.raises(error) as refused:
            load_teacher(store, config.methods[0], config, data)
        return str(refused.value)

    running = queued(store, BASE, "half")
    assert f"the teacher, run {running} (half), is running" in refusal(ConfigError, teacher_run=running)
    assert "run 9999 is not in the store" in refusal(RunNotFound, teacher_run=9999)
    assert "there is no file of weights" in refusal(CheckpointError, teacher_file=str(tmp_path / "none.safetensors"))
    assert "names no teacher" in refusal(ConfigError)


def test_settings_that_cannot_be_are_refused_in_words():
    def refusal(**settings):
        with pytest.raises(ConfigError) as refused:
            parse_config({"methods": [{"name": "kd_fitnet", **settings}]})
        return str(refused.value)

    assert "name one teacher, not two" in refusal(teacher_run=1, teacher_file="x")
    assert "names no model; write such as resnet:depth=20" in refusal(teacher_model="resnext")
    assert "is no network" in refusal(teacher_model="resnet:depth=9")
    assert "is no pair of layers" in refusal(layers="stages.1")
    with pytest.raises(ConfigError, match="kd_hinton and kd_nst each bring their own loss; keep one"):
        parse_config({"methods": [{"name": "kd_hinton"}, {"name": "kd_nst"}]})
