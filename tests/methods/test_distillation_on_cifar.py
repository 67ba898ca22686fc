"""Every method beats chance on 2,000 pictures of CIFAR-10; minutes, so only where slow tests are asked for."""

import os
from pathlib import Path

import pytest

from gradscope import jobs
from gradscope.config import parse_config
from gradscope.jobs.teaching import taught_by, teacher_config
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import open_store, read
from gradscope.train import train

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

REAL = Path(os.environ.get("GRADSCOPE_TEST_DATA", Path(__file__).parents[2].parent / "shared" / "data")) / "cifar10"
CHANCE, CLEARLY = 0.1, 0.05
"""Of ten classes; with 2,000 test pictures the standard error of an accuracy of 0.1 is 0.007."""
METHODS = {
    "kd_hinton": {},
    "kd_fitnet": {},
    "kd_fsp": {},
    "kd_nst": {},
    "kd_attention": {},
    "kd_gan": {},
    "kd_kr": {"merge_rate": 2},
}


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    if not REAL.is_dir():
        pytest.skip(f"no real data in {REAL}; set GRADSCOPE_TEST_DATA to the folder that holds cifar10/")
    store = open_store(tmp_path_factory.mktemp("cifar") / "runs.db", create=True)
    base = parse_config(
        {
            "data": {"name": "parquet", "path": str(REAL), "limit": 2000},
            "model": {"name": "resnet", "depth": 8, "width": 8},
            "methods": [{"name": "kd_hinton", "teacher_model": "resnet:depth=8,width=8", "teacher_epochs": 3}],
            "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
            "train": {"epochs": 3, "batch_size": 64, "device": "cpu"},
            "record": {"every": 1000, "log": "gradients"},
        }
    )
    yield store, base, run_of(store, teacher_config(base))
    store.close()


def run_of(store, config):
    run_id = jobs.create(store, config, "cifar", status=Status.RUNNING)
    assert train(store, run_id) is Status.COMPLETED
    return run_id


@pytest.mark.parametrize("method", METHODS)
def test_a_student_beats_chance(pair, method):
    store, base, teacher = pair
    plain = with_overrides(base, {"methods.kd_hinton": False})
    settings = {f"methods.{method}.{name}": value for name, value in METHODS[method].items()}
    student = with_overrides(plain, settings or {f"methods.{method}": True})
    run_id = run_of(store, taught_by(student, teacher))
    assert read.run(store, run_id).results.test_accuracy > CHANCE + CLEARLY
