"""Training on pictures with several labels: judged by mean average precision, and by no accuracy."""

import json

import pytest
from typer.testing import CliRunner
from voc_tree import write_voc

from gradscope import jobs
from gradscope.cli.app import app
from gradscope.config import Agreement, Robustness, RunConfig, parse_config
from gradscope.errors import ConfigError, JobError
from gradscope.jobs.teaching import taught_by
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import open_store, read
from gradscope.train import train

BASE = with_overrides(
    RunConfig(),
    {
        "data.name": "voc",
        "data.size": 16,
        "data.val_fraction": 0.2,
        "model.name": "resnet",
        "model.depth": 8,
        "model.width": 4,
        "train.epochs": 6,
        "train.batch_size": 12,
        "train.device": "cpu",
        "optimizer.lr": 0.2,
        "optimizer.momentum": 0.9,
        "record.log": "gradients",
    },
)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tmp_path_factory.mktemp("voc")
    write_voc(folder / "voc", {"trainval": 60, "test": 12})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADSCOPE_DATA", str(folder))
        opened = open_store(folder / "runs.db", create=True)
        yield opened
        opened.close()


def trained(store, config):
    run_id = jobs.create(store, config, "voc", status=Status.RUNNING)
    assert train(store, run_id) is Status.COMPLETED
    return read.run(store, run_id)


@pytest.fixture(scope="module")
def run(store):
    return trained(store, BASE)


def test_it_learns_and_is_judged_by_mean_average_precision(store, run):
    results = run.results
    assert (results.val_accuracy, results.best_val_accuracy, results.test_accuracy) == (None, None, None)
    assert results.score == "map"
    assert results.best_val_map >= results.val_map > 0.5
    assert results.test_score == results.test_map > 0.5
    names = set(read.metrics(store, [run.id])["name"])
    assert names == {"train_loss", "train_exact_match", "val_loss", "val_map", "learning_rate"}


@pytest.mark.parametrize(
    "settings",
    [{"kd_hinton.temperature": 2}, {"kd_fitnet.hint_weight": 1}, {"kd_nst.nst_weight": 1}, {"kd_kr.merge_rate": 0.1}],
    ids=lambda settings: next(iter(settings)).partition(".")[0],
)
def test_a_student_follows_its_teacher_class_by_class(store, run, settings):
    method = next(iter(settings)).partition(".")[0]
    own = {f"methods.{name}": value for name, value in {**settings, f"{method}.kd_weight": 0.5}.items()}
    student = trained(store, taught_by(with_overrides(BASE, {"train.epochs": 1, **own}), run.id))
    assert 0 <= student.results.test_map <= 1
    names = set(read.metrics(store, [student.id])["name"])
    assert {"loss/label", "loss/distillation"} <= names


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"methods.kd_gan": True}, "have several labels each, and method kd_gan has its players choose one label"),
        ({"methods.kd_kr.gan": True}, "methods.kd_kr.gan has its players choose one label by a softmax; leave it out"),
        ({"methods.elastic": True}, "method elastic counts each exit's one right answer; leave it out, or choose data"),
        ({"train.robustness": True}, "train.robustness counts right answers"),
    ],
)
def test_what_chooses_one_label_is_refused_before_the_training(changes, message):
    with pytest.raises(ConfigError, match=message):
        with_overrides(BASE, changes)
    with_overrides(parse_config({}), changes)


@pytest.mark.parametrize("settings", [Robustness(), Agreement()], ids=lambda s: s.name)
def test_tasks_that_ask_for_the_one_right_answer_are_refused(store, run, settings):
    with pytest.raises(JobError, match=f"several labels each, and task {settings.name} asks for the one right answer"):
        jobs.create_task(store, run.id, settings, status=Status.QUEUED)


def test_the_command_line_calls_it_by_its_name(store, run):
    listed = CliRunner().invoke(app, ["runs", "--store", str(store.shown)]).output
    assert f"{run.results.test_map:.1%} mAP" in listed
    told = json.loads(CliRunner().invoke(app, ["runs", "--json", "--store", str(store.shown)]).output)
    mine = next(item for item in told if item["id"] == run.id)
    assert (mine["test_accuracy"], mine["test_map"]) == (None, run.results.test_map)
