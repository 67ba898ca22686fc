"""The task `robustness` on a small trained run."""

import pytest

from gradscope import jobs
from gradscope.config import Digits, Mlp, Robustness, RunConfig, Train
from gradscope.errors import CheckpointError
from gradscope.records import Status
from gradscope.store import open_store, read_robustness, read_tasks, write, write_tasks
from gradscope.tasks.perform import perform
from gradscope.tasks.robustness import measure_robustness, points
from gradscope.train import train

CONFIG = RunConfig(
    data=Digits(limit=200), model=Mlp(depth=2, width=16), train=Train(epochs=30, batch_size=20, device="cpu")
)
FEW = Robustness(kinds=("gaussian_noise", "fog"), levels=(0.5, 2.0), severities=(3,), draws=2, images=50, device="cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("robust") / "runs.db", create=True)
    yield store
    store.close()


@pytest.fixture(scope="module")
def run_id(store):
    run_id = jobs.create(store, CONFIG, "trained", status=Status.RUNNING)
    assert train(store, run_id) is Status.COMPLETED
    return run_id


def measure(store, run_id, settings):
    seen = []
    task_id = jobs.create_task(store, run_id, settings, status=Status.RUNNING)
    assert perform(store, task_id, on_progress=seen.append) is Status.COMPLETED
    return read_tasks.task(store, task_id), seen


def test_every_point_is_measured_once_with_progress_in_pictures(store, run_id):
    task, seen = measure(store, run_id, FEW)
    # the clean pictures, two levels of noise with two draws, fog with three
    assert (task.done, task.total) == (50 * (1 + 2 * 2 + 3), 400)
    assert seen[-1].done == 400
    found = read_robustness.points(store, [run_id])
    assert found[["kind", "level", "draws", "images"]].values.tolist() == [
        ["fog", 0.0, 1, 50],
        ["fog", 3.0, 3, 50],
        ["gaussian_noise", 0.0, 1, 50],
        ["gaussian_noise", 0.5, 2, 50],
        ["gaussian_noise", 2.0, 2, 50],
    ]
    noise = found[found["kind"] == "gaussian_noise"]["accuracy"].tolist()
    assert noise[0] > 0.5
    assert noise[0] > noise[2]
    assert list(found["per_class"].iloc[0]) == [str(digit) for digit in range(10)]

    task, _ = measure(store, run_id, FEW)
    assert (task.done, task.total) == (0, 0)
    task, _ = measure(store, run_id, FEW.model_copy(update={"levels": (0.5, 1.0, 2.0)}))
    assert task.total == 100


def forget(store):
    with store.writer.begin() as connection:
        connection.exec_driver_sql("DELETE FROM robustness")


def test_what_is_measured_again_is_the_same_to_the_picture(store, run_id):
    found = []
    for _ in range(2):
        forget(store)
        measure(store, run_id, FEW)
        found.append(read_robustness.right_counts(store, run_id, _fingerprint(store), "gaussian_noise", 0, 2, 50)[1])
    assert found[0].shape == (3, 50)
    assert (found[0] == found[1]).all()


def test_a_stopped_task_keeps_what_it_has_measured(store, run_id):
    forget(store)
    task_id = jobs.create_task(store, run_id, FEW, status=Status.RUNNING)

    def performer(store, task, report):
        def told(done, total, phase="evaluating"):
            report(done, total, phase)
            if done == 150:
                report.request_stop()

        measure_robustness(store, task, told)

    assert perform(store, task_id, performers={"robustness": performer}) is Status.STOPPED
    assert sorted(k for k, *_ in read_robustness.known(store, run_id, _fingerprint(store))) == [
        "clean",
        "gaussian_noise",
    ]


def _fingerprint(store):
    with store.reader.connect() as connection:
        return connection.exec_driver_sql("SELECT fingerprint FROM robustness").scalar()


def test_a_run_without_weights_says_so(store):
    run_id = write.create_run(store, name="mine", source="attached", config={}, status=Status.COMPLETED)
    task_id = write_tasks.create(store, run_id, "robustness", FEW.model_dump(mode="json"), status=Status.RUNNING)
    with pytest.raises(CheckpointError, match=rf"run {run_id} \(mine\) has no checkpoint"):
        perform(store, task_id)
    assert read_tasks.task(store, task_id).status is Status.FAILED


def test_all_that_the_paper_asks_for_is_ten_draws_of_two_kinds_at_nine_levels():
    asked = points(Robustness())
    assert len(asked) == 1 + 2 * 9
    assert sum(p.draws for p in asked) == 1 + 180
