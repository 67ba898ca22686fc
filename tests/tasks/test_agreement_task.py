"""A student beside its teacher, measured on test pictures; the numbers against plain loops."""

import math

import pytest
import torch

from gradscope import jobs
from gradscope.analysis.distillation import by_temperature, gap_closed, gaps, teacher_of
from gradscope.config import Agreement, parse_config
from gradscope.errors import ConfigError
from gradscope.evaluate.agreement import divergence, milliseconds, same_answers
from gradscope.jobs.teaching import taught_by, teacher_config
from gradscope.overrides import with_overrides
from gradscope.records import Results, Status
from gradscope.store import open_store, read, read_distilled, read_tasks, write
from gradscope.tasks.perform import perform
from gradscope.train import train
from gradscope.trained import load_trained

STUDENT = parse_config(
    {
        "data": {"name": "digits", "limit": 200},
        "model": {"name": "resnet", "depth": 8, "width": 4},
        "methods": [{"name": "kd_hinton", "teacher_model": "resnet:depth=8,width=8"}],
        "optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9},
        "train": {"epochs": 3, "batch_size": 20, "device": "cpu"},
        "record": {"every": 1000},
    }
)
FEW = Agreement(temperatures=(1.0, 4.0), batch_sizes=(1, 16), passes=1, images=60, device="cpu")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    opened = open_store(tmp_path_factory.mktemp("kd") / "runs.db", create=True)
    yield opened
    opened.close()


def trained(store, config, name):
    run_id = jobs.create(store, config, name, status=Status.RUNNING)
    assert train(store, run_id) is Status.COMPLETED
    return run_id


@pytest.fixture(scope="module")
def pair(store):
    teacher = trained(store, teacher_config(STUDENT), "teacher")
    return trained(store, taught_by(STUDENT, teacher), "student"), teacher


def measure(store, run_id):
    task_id = jobs.create_task(store, run_id, FEW, status=Status.RUNNING)
    status = perform(store, task_id)
    return status, read_tasks.task(store, task_id)


def test_a_student_is_measured_beside_its_teacher_and_once_only(store, pair):
    student, teacher = pair
    status, task = measure(store, student)
    assert status is Status.COMPLETED
    assert (task.done, task.total) == (120, 120)
    found = read_distilled.distilled(store, [student])
    (row,) = found.to_dict("records")
    assert (row["teacher_run"], row["images"], row["device"]) == (teacher, 60, "cpu")
    assert row["teacher_parameters"] > 3 * row["parameters"]
    assert row["teacher_macs"] > 3 * row["macs"]
    assert set(row["milliseconds"]) == set(row["teacher_milliseconds"]) == {"1", "16"}
    assert all(value > 0 for value in row["milliseconds"].values())
    assert 0 <= row["agreement"] <= 1
    assert by_temperature(found)[["run", "temperature"]].values.tolist() == [[student, 1.0], [student, 4.0]]
    measure(store, student)
    assert read_distilled.distilled(store, [student])["computed"].tolist() == found["computed"].tolist()


def test_agreement_counts_the_pictures_of_the_same_answer(store, pair):
    nets = [load_trained(store, run_id, torch.device("cpu")) for run_id in pair]
    x = nets[0].normalise(nets[0].data.test.images[:50])
    with torch.no_grad():
        mine, theirs = (net.model(x) for net in nets)
    same = sum(a.index(max(a)) == b.index(max(b)) for a, b in zip(mine.tolist(), theirs.tolist(), strict=True))
    assert same_answers(mine, theirs) == same / 50


def test_the_divergence_is_the_plain_sum():
    s, t = torch.tensor([[1.0, 0.0, -1.0]]), torch.tensor([[0.0, 2.0, 0.0]])

    def soft(z):
        e = [math.exp(v / 2) for v in z[0].tolist()]
        return [v / sum(e) for v in e]

    wanted = sum(p * math.log(p / q) for p, q in zip(soft(t), soft(s), strict=True))
    assert divergence(s, t, 2.0) == pytest.approx(wanted, rel=1e-9)


def test_time_is_that_of_the_pass():
    assert milliseconds(torch.nn.Linear(4, 2), torch.zeros(3, 4), passes=3) > 0


def test_a_run_without_a_teacher_is_refused_in_words(store, pair):
    with pytest.raises(ConfigError, match="has no teacher to be compared with; choose one with a method kd_"):
        measure(store, pair[1])


def test_how_much_of_the_gap_is_closed():
    assert gap_closed(0.85, 0.9, 0.8) == pytest.approx(0.5)
    assert gap_closed(0.75, 0.9, 0.8) == pytest.approx(-0.5)
    assert math.isnan(gap_closed(0.85, 0.8, 0.8))
    assert math.isnan(gap_closed(0.85, 0.805, 0.8)), "half a point is noise"
    assert math.isnan(gap_closed(None, 0.9, 0.8))


def test_the_student_alone_has_the_same_settings_and_seed(store, pair):
    student, teacher = pair
    plain = with_overrides(STUDENT, {"methods.kd_hinton": False})
    others = [plain, with_overrides(plain, {"train.seed": 1}), with_overrides(plain, {"optimizer.lr": 0.2})]
    ids = [jobs.create(store, config, "alone", status=Status.RUNNING) for config in others]
    for run_id in ids:
        write.results(store, run_id, Results(test_accuracy=0.25))
        write.finish(store, run_id, Status.COMPLETED)
    runs = read.runs(store)
    own = read.run(store, student)
    assert teacher_of(own.config) == teacher
    (row,) = gaps([own], runs).to_dict("records")
    assert row["n_alone"] == ids[0]
    assert row["alone"] == 0.25
    assert row["teacher"] == read.run(store, teacher).results.test_accuracy
