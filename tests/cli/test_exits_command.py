"""`gradscope exits` as a user meets it."""

import pytest

from gradscope import jobs
from gradscope.cli import main
from gradscope.config import parse_config
from gradscope.jobs.lock import Lock
from gradscope.paths import supervisor_lock
from gradscope.records import Status
from gradscope.store import open_store, read_tasks
from gradscope.train import train


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("exits") / "runs.db", create=True)
    values = {
        "data": {"name": "digits", "limit": 100},
        "model": {"name": "resnet", "depth": 8, "width": 2},
        "methods": [{"name": "elastic"}],
        "train": {"epochs": 1, "device": "cpu"},
    }
    train(store, jobs.create(store, parse_config(values), "exits", status=Status.RUNNING))
    yield store
    store.close()


@pytest.fixture
def command(store, capsys):
    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["exits", *map(str, words), "--store", store.name])
        return end.value.code, *capsys.readouterr()

    return run


def test_every_exit_and_threshold_is_told(command):
    code, out, err = command(1, "--images", 20, "--batch-size", 10)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "exits of run 1  evaluating  480/480" in lines
    assert [line.split("  ")[1] for line in lines if "  exit " in line] == ["exit 1", "exit 2", "exit 3"]
    assert sum("  confidence " in line for line in lines) == sum("  entropy " in line for line in lines) == 10


def test_it_can_be_left_to_the_queue_and_says_what_is_wrong(command, store):
    lock = Lock(supervisor_lock(store.name))
    assert lock.acquire()
    code, out, _ = command(1, "--images", 30, "--queue")
    task = read_tasks.tasks(store, [1])[0]
    assert (code, out) == (0, f"exits of run 1 are queued as task {task.id}\n")
    lock.release()
    code, _, err = command(1, "--images", 3)
    assert code == 2
    assert err == "gradscope: images: input should be greater than or equal to 10, not 3\n"
