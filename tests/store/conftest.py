import subprocess
import sys
import textwrap

import pytest

from gradscope.records import Kind, Layer, LayerStats, Status
from gradscope.store import open_store, write


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "runs.db", create=True)
    yield store
    store.close()


@pytest.fixture
def new_run(store):
    """Makes runs, each with as many layers as asked for."""

    def make(*, layers=0, status=Status.RUNNING, name="run", **more):
        run_id = write.create_run(store, name=name, source="train", config={"depth": 3}, status=status, **more)
        found = [
            Layer(index=i, name=f"fc{i}", type="Linear", shape=(4, 2), n_weights=8, trainable=i > 0)
            for i in range(layers)
        ]
        write.layers(store, run_id, found)
        return run_id

    return make


@pytest.fixture
def stats():
    """Makes one row of statistics; what is not given is plain."""

    def make(step, layer=0, kind=Kind.GRADIENT, **values):
        given = {"n": 8, "rms": 0.5, "mean_abs": 0.25, "max_abs": 1.0, **values}
        return LayerStats(step=step, layer=layer, kind=kind, **given)

    return make


@pytest.fixture
def python():
    """Starts Python programs in processes of their own."""
    started = []

    def start(program, *words):
        command = [sys.executable, "-c", textwrap.dedent(program), *map(str, words)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()
