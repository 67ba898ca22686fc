"""`gradscope robustness` as a user meets it."""

import subprocess
import sys

import pytest

from gradscope import jobs
from gradscope.cli import main
from gradscope.config import Digits, Mlp, RunConfig, Train
from gradscope.jobs.lock import Lock
from gradscope.paths import supervisor_lock
from gradscope.records import Status
from gradscope.store import open_store, read_robustness, read_tasks, write_tasks
from gradscope.train import train

CONFIG = RunConfig(data=Digits(limit=100), model=Mlp(depth=2, width=8), train=Train(epochs=1, device="cpu"))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("robust") / "runs.db", create=True)
    for name in ("one", "two"):
        train(store, jobs.create(store, CONFIG, name, status=Status.RUNNING))
    jobs.create(store, CONFIG, "untrained", status=Status.COMPLETED)
    yield store
    store.close()


@pytest.fixture
def command(store, capsys):
    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["robustness", *map(str, words), "--store", store.name])
        return end.value.code, *capsys.readouterr()

    return run


def test_runs_are_measured_one_after_another_with_their_curves(command, store):
    code, out, err = command(1, 2, "--under", "fog", "--under", "uniform_noise", "--images", 20, "--draws", 2)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "robustness of run 1  evaluating  680/680" in lines
    assert sum(line.startswith("run 2  fog  0: ") for line in lines) == 1
    assert len(read_robustness.points(store, [1, 2])) == 2 * (6 + 10)


def test_it_can_be_left_to_the_queue(command, store):
    lock = Lock(supervisor_lock(store.name))
    assert lock.acquire()
    code, out, _ = command(2, "--queue")
    task_id = read_tasks.tasks(store, [2])[0].id
    assert (code, out) == (0, f"robustness of run 2 is queued as task {task_id}\n")
    assert read_tasks.task(store, task_id).status is Status.QUEUED
    code, _, err = command(2)
    assert (code, err) == (
        2,
        f"gradscope: task {task_id} computes the same on run 2 already; wait for it, or stop it\n",
    )
    jobs.stop_task(store, task_id)
    lock.release()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([9], "gradscope: run 9 is not in the store"),
        ([3], "gradscope: run 3 (untrained) has no checkpoint to work on; train it"),
        (
            [1, "--under", "fgo"],
            "gradscope: --under 'fgo' is unknown; use one of noise, corruptions, attacks, gaussian_",
        ),
        ([1, "--draws", "0"], "gradscope: draws"),
        ([1, "--device", "tpu"], "gradscope: device"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(command, words, sentence):
    code, out, err = command(*words)
    assert (code, out) == (2, "")
    assert err.startswith(sentence)
    assert err.count("\n") == 1


def test_a_failure_leaves_the_task_failed_with_its_cause(command, store):
    model = store.paths(2).model
    weights = model.read_bytes()
    model.write_bytes(b"torn")
    code, _, err = command(2)
    model.write_bytes(weights)
    assert code == 2
    assert "cannot be read" in err
    task = read_tasks.tasks(store, [2])[0]
    assert task.status is Status.FAILED
    assert "cannot be read" in task.error
    write_tasks.requeue(store, task.id)
    jobs.stop_task(store, task.id)


def test_a_training_measures_itself_when_it_is_told_to(store, capsys):
    small = [
        "--data",
        "digits",
        "--epochs",
        "1",
        "--set",
        "data.limit=60",
        "--set",
        "model.depth=2",
        "--name",
        "switch",
    ]
    with pytest.raises(SystemExit) as end:
        main(["train", *small, "--set", "train.robustness=on", "--set", "train.device=cpu", "--store", store.name])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert "(switch) completed" in out
    assert "  gaussian_noise  0: " in out
    assert "  uniform_noise  0: " in out


def test_a_queued_training_leaves_its_measurement_to_the_queue(store):
    config = CONFIG.model_copy(update={"train": CONFIG.train.model_copy(update={"robustness": True})})
    run_id = jobs.create(store, config, "queued", status=Status.QUEUED)
    lock = Lock(supervisor_lock(store.name))
    assert lock.acquire()
    command = [sys.executable, "-m", "gradscope", "work", str(run_id), "--store", store.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (task,) = read_tasks.tasks(store, [run_id])
    assert (task.kind, task.status) == ("robustness", Status.QUEUED)
    assert task.settings["device"] == "cpu"
    jobs.stop_task(store, task.id)
    lock.release()


def test_a_report_is_written_of_what_is_known(command, store, tmp_path):
    command(1, "--under", "fgsm", "--images", 20)
    code, out, _ = command(1, "--report", tmp_path / "found.md")
    assert code == 0
    assert out.startswith(f"written: {tmp_path / 'found.md'}, ")
    assert "| FGSM | one | " in (tmp_path / "found.md").read_text()
