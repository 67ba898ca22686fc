"""`gradscope explain`, in this process."""

import pytest

from gradscope import jobs
from gradscope.cli import main
from gradscope.config import RunConfig
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import open_store, read_attributions, read_tasks
from gradscope.train import train

SMALL = {"model.depth": 3, "model.width": 8, "data.limit": 60, "train.epochs": 1, "train.device": "cpu"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    store = open_store(tmp_path_factory.mktemp("explained") / "runs.db", create=True)
    for seed in (0, 1):
        config = with_overrides(RunConfig(), {**SMALL, "train.seed": seed})
        train(store, jobs.create(store, config, f"seed {seed}", status=Status.RUNNING))
    yield store
    store.close()


@pytest.fixture
def command(trained, capsys):
    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["explain", *words, "--store", trained.name])
        said = capsys.readouterr()
        return end.value.code, said.out, said.err

    return run


def test_runs_are_explained_scored_and_reported(command, trained, tmp_path):
    report = tmp_path / "results" / "looks.md"
    code, out, _ = command("1", "2", "--images", "12", "--checks", "--report", str(report))
    assert code == 0
    assert "Integrated gradients" in out
    assert "1 seed 0" in out
    assert "like random weights" in out
    assert f"written to {report}" in out
    assert "2 seed 1 less 1 seed 0" in report.read_text()
    computed = len(read_attributions.attributions(trained, [1, 2]))
    assert command("1", "2", "--images", "12", "--checks")[0] == 0
    assert len(read_attributions.attributions(trained, [1, 2])) == computed, "nothing is computed twice"


def test_a_method_that_cannot_is_a_sentence_and_the_rest_is_told(command):
    code, out, err = command("1", "--method", "grad_cam", "--method", "input_gradient", "--images", "4")
    assert code == 2
    assert "gradscope: run 1: Grad-CAM needs a convolution's feature map" in err
    assert "Input gradient" in out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["1", "--method", "shapely"], "'shapely' is no attribution method; choose one of integrated_gradients, "),
        (["1", "--method", '{"name": "grad_cam", "layers": 3}'], "grad_cam.layers: extra inputs are not permitted"),
        (["1", "--images", "0"], "images.n: input should be greater than or equal to 1, not 0"),
        (["1", "--outcome", "good"], "images.outcome: input should be 'any', 'right'"),
        (["9"], "run 9 is not in the store"),
        (["1", "--target", "12"], "target 12 is no class of this data; choose predicted, true or a number from 0 to 9"),
    ],
)
def test_what_cannot_be_is_one_sentence(command, words, says):
    code, _, err = command(*words)
    assert code == 2
    assert says in err
    assert err.count("\n") == 1


def test_it_can_wait_in_the_queue(command, trained, monkeypatch):
    monkeypatch.setattr("gradscope.jobs.tasks.ensure_supervisor", lambda store: None)
    code, out, _ = command("1", "2", "--queue", "--outcome", "runs disagree")
    assert code == 0
    tasks = read_tasks.tasks(trained, [1, 2], "explain")[:2]
    assert "attributions of run 1 are queued as task" in out
    assert [task.settings["beside"] for task in tasks] == [[1, 2], [1, 2]]
