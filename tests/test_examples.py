"""The examples run as they stand, one after the other in one store."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SAYS = {
    "own_loop.py": "run 1 is in ",
    "read_back.py": "run 1, own loop: completed",
    "before_training.py": "2 layers: ",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("examples") / "runs.db"


def test_every_example_is_tried():
    assert {path.name for path in EXAMPLES.glob("*.py")} == set(SAYS)


@pytest.mark.parametrize("name", SAYS)
def test_an_example_runs(name, store):
    variables = {**os.environ, "GRADSCOPE_STORE": str(store)}
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / name)], env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(SAYS[name])


def test_a_deep_sigmoid_net_is_told_to_vanish_and_a_shallow_one_not(store):
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "before_training.py")], capture_output=True, text=True, check=True
    )
    shallow, deep = done.stdout.split("12 layers: ")
    assert "vanish" in deep
    assert "vanish" not in shallow
