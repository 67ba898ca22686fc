"""The task `exits` on small trained runs, elastic and plain."""

import numpy as np
import pytest
import torch

from gradscope import jobs
from gradscope.config import Exits, parse_config
from gradscope.errors import StoreDamaged
from gradscope.exit_answers import ExitAnswers
from gradscope.methods.elastic import elastic
from gradscope.models.early_exit import Pieces
from gradscope.records import Status
from gradscope.store import open_store, read_exits, read_tasks
from gradscope.tasks.perform import perform
from gradscope.train import train
from gradscope.trained import load_trained

FEW = Exits(confidences=(0.4, 0.9), entropies=(0.5,), images=60, batch_size=25, device="cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("exits") / "runs.db", create=True)
    yield store
    store.close()


def trained(store, *methods):
    config = parse_config(
        {
            "data": {"name": "digits", "limit": 200},
            "model": {"name": "resnet", "depth": 8, "width": 4},
            "methods": list(methods),
            "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
            "train": {"epochs": 12, "batch_size": 20, "device": "cpu"},
            "record": {"every": 1000},
        }
    )
    run_id = jobs.create(store, config, "trained", status=Status.RUNNING)
    assert train(store, run_id) is Status.COMPLETED
    return run_id


@pytest.fixture(scope="module")
def with_exits(store):
    return trained(store, {"name": "elastic"})


def measure(store, run_id, settings=FEW):
    task_id = jobs.create_task(store, run_id, settings, status=Status.RUNNING)
    assert perform(store, task_id) is Status.COMPLETED
    return read_tasks.task(store, task_id)


def test_exits_and_thresholds_are_measured_once_with_progress_in_pictures(store, with_exits):
    task = measure(store, with_exits)
    # all exits in one pass, each of three by itself, three thresholds
    assert (task.done, task.total) == (60 * (1 + 3 + 3),) * 2
    exits, sweeps = read_exits.exits(store, [with_exits]), read_exits.sweeps(store, [with_exits])
    assert exits["exit"].tolist() == [1, 2, 3]
    assert exits["point"].tolist()[:2] == ["stages.0.0", "stages.1.0"]
    assert exits["macs"].is_monotonic_increasing
    assert exits["parameters"].is_monotonic_increasing
    assert (exits["milliseconds"] > 0).all()
    assert exits["accuracy"].iloc[-1] > 0.3
    assert sorted(zip(sweeps["rule"], sweeps["threshold"], strict=True)) == [
        *(("confidence", 0.4), ("confidence", 0.9), ("entropy", 0.5))
    ]
    assert sweeps["left"].map(sum).tolist() == [60] * 3
    task = measure(store, with_exits)
    assert (task.done, task.total) == (0, 0)


def test_what_was_measured_is_what_the_answers_say(store, with_exits):
    measure(store, with_exits)
    loaded = load_trained(store, with_exits, torch.device("cpu"))
    kept = ExitAnswers.load(store.paths(with_exits).exit_answers(loaded.fingerprint, 60))
    assert kept.images.shape == (60, 1, 8, 8)
    assert kept.classes == tuple(str(i) for i in range(10))
    right = kept.answers == kept.labels
    exits, sweeps = read_exits.exits(store, [with_exits]), read_exits.sweeps(store, [with_exits])
    assert exits["accuracy"].tolist() == pytest.approx(right.mean(axis=1).tolist())
    costs = np.array([cost.macs_asking for cost in Pieces(elastic(loaded.model)).costs])
    for sweep in sweeps[sweeps["rule"] == "confidence"].itertuples():
        sure = kept.confidence >= sweep.threshold
        left = np.where(sure.any(axis=0), sure.argmax(axis=0), 2)
        assert np.bincount(left, minlength=3).tolist() == sweep.left
        assert right[left, np.arange(60)].mean() == pytest.approx(sweep.accuracy)
        assert costs[left].mean() == pytest.approx(sweep.macs)


def test_a_plain_network_counts_as_one_with_a_single_exit(store):
    plain = trained(store)
    task = measure(store, plain)
    assert task.total == 60 * 2
    found = read_exits.exits(store, [plain])
    assert found["exit"].tolist() == [1]
    assert found["point"].isna().all()
    assert found["parameters"].tolist() == [
        sum(p.numel() for p in load_trained(store, plain, torch.device("cpu")).model.parameters())
    ]
    assert read_exits.sweeps(store, [plain]).empty


def test_impossible_thresholds_are_refused():
    with pytest.raises(ValueError, match=r"must lie in 0\.\.1"):
        Exits(confidences=(1.5,))
    with pytest.raises(ValueError, match="must not be below 0"):
        Exits(entropies=(-0.1,))
    assert Exits().thresholds()[0] == ("confidence", 0.3)
    assert Exits().thresholds()[-1] == ("entropy", 0.02)


def test_a_torn_file_of_answers_says_what_to_do(tmp_path):
    path = tmp_path / "answers.npz"
    path.write_bytes(b"no zip")
    with pytest.raises(StoreDamaged, match="remove that file, then measure the exits again"):
        ExitAnswers.load(path)
