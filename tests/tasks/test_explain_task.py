"""Attributions of runs that really learned a little: computed once, kept small, the same pictures for every run."""

import shutil

import numpy as np
import pytest

from gradscope import jobs
from gradscope.config import RunConfig
from gradscope.config.attributions import GradCam, InputGradient, IntegratedGradients, Occlusion
from gradscope.config.explaining import Explain, ImageSet, Outcome
from gradscope.errors import ConfigError, StoreDamaged
from gradscope.measured import Part
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import open_store, read_attributions, read_tasks
from gradscope.tasks import explain as module
from gradscope.tasks.perform import perform
from gradscope.tasks.report import Stopped
from gradscope.train import train

SMALL = {
    "model.depth": 3,
    "model.width": 12,
    "data.limit": 120,
    "train.epochs": 1,
    "train.device": "cpu",
    "record.every": 1000,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A store of two small trained runs and one of other pictures."""
    folder = tmp_path_factory.mktemp("explained")
    store = open_store(folder / "runs.db", create=True)
    for seed, more in ((0, {}), (1, {}), (2, {"data.limit": 90})):
        config = with_overrides(RunConfig(), {**SMALL, "train.seed": seed, **more})
        assert train(store, jobs.create(store, config, f"seed {seed}", status=Status.RUNNING)) is Status.COMPLETED
    store.close()
    return folder


@pytest.fixture
def store(trained, tmp_path):
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    store = open_store(tmp_path / "runs.db")
    yield store
    store.close()


def explain(store, run_id, **settings):
    task = jobs.create_task(store, run_id, Explain(**settings), status=Status.RUNNING)
    perform(store, task)
    return read_tasks.task(store, task)


def known(store, run_id, method, part=Part.MAPS, target="predicted"):
    there = read_attributions.attributions(store, [run_id])
    return read_attributions.of(there, run_id, method.model_dump_json(), target, part)


def test_maps_are_kept_with_all_that_a_page_shows(store):
    task = explain(store, 1, methods=[IntegratedGradients()], images=ImageSet(n=20))
    assert (task.status, task.done, task.total) == (Status.COMPLETED, 20, 20)
    found = read_attributions.maps(store, known(store, 1, IntegratedGradients()))
    assert found.maps.shape == (20, 1, 8, 8)
    assert found.images.shape == (20, 1, 8, 8)
    assert found.images.dtype == np.uint8
    assert found.probabilities.sum(1).tolist() == pytest.approx([1] * 20, abs=1e-5)
    assert found.targets.tolist() == found.probabilities.argmax(1).tolist()
    assert found.totals.tolist() == pytest.approx(found.differences.tolist(), rel=0.02, abs=1e-3)
    assert found.maps.sum((1, 2, 3)).tolist() == pytest.approx(found.totals.tolist(), rel=0.01, abs=0.01), "as float16"
    answers = read_attributions.predictions(store, 1, known(store, 1, IntegratedGradients())[0].fingerprint)
    assert answers.labels[found.places].tolist() == found.labels.tolist()
    assert answers.classes == tuple("0123456789")
    assert answers.probabilities.shape == (120, 10)


def test_nothing_is_computed_twice_and_more_pictures_are_added(store, monkeypatch):
    asked = []
    real = module.attribute
    monkeypatch.setattr(module, "attribute", lambda s, q: asked.append(len(q.images)) or real(s, q))
    explain(store, 1, images=ImageSet(n=10))
    explain(store, 1, images=ImageSet(n=10))
    assert asked == [10]
    explain(store, 1, images=ImageSet(n=30))
    assert asked == [10, 16, 4]
    explain(store, 1, images=ImageSet(n=10), methods=[IntegratedGradients(steps=20)])
    explain(store, 1, images=ImageSet(n=10), target="true")
    assert asked[3:] == [10, 10]
    assert len(read_attributions.maps(store, known(store, 1, IntegratedGradients())).places) == 30


def test_every_run_is_asked_about_the_same_pictures(store):
    for run in (1, 2):
        explain(store, run, images=ImageSet(n=8))
    places = [read_attributions.maps(store, known(store, run, IntegratedGradients())).places for run in (1, 2)]
    assert places[0].tolist() == places[1].tolist()


def test_pictures_on_which_the_runs_disagree_are_the_same_for_both(store):
    for run in (1, 2):
        explain(store, run, images=ImageSet(n=8, outcome=Outcome.DISAGREE), beside=(1, 2))
    first, second = (read_attributions.maps(store, known(store, run, IntegratedGradients())) for run in (1, 2))
    assert first.places.tolist() == second.places.tolist()
    assert len(first) == 8
    assert (first.probabilities.argmax(1) != second.probabilities.argmax(1)).all()


def test_runs_of_other_pictures_cannot_be_asked_what_they_answer(store):
    with pytest.raises(ConfigError, match="runs 1 and 3 are not tested on the same pictures"):
        explain(store, 1, images=ImageSet(outcome=Outcome.DISAGREE), beside=(3,))


def test_a_method_that_cannot_says_so_and_the_others_are_kept(store):
    for _ in range(2):
        task = explain(store, 1, methods=[GradCam(), InputGradient()], images=ImageSet(n=5))
        assert (task.status, task.error) == (Status.COMPLETED, None)
    assert len(known(store, 1, GradCam(), Part.REFUSAL)) == 1
    there = read_attributions.attributions(store, [1])
    assert "choose integrated_gradients" in read_attributions.refusal(there, 1, GradCam().model_dump_json())
    assert read_attributions.refusal(there, 1, InputGradient().model_dump_json()) is None
    assert len(read_attributions.maps(store, known(store, 1, InputGradient()))) == 5
    assert read_attributions.maps(store, known(store, 1, GradCam())) is None


def test_checks_are_made_of_maps_that_are_there(store):
    explain(store, 1, images=ImageSet(n=6))
    task = explain(store, 1, images=ImageSet(n=6), checks=True)
    assert task.total == 6
    found = read_attributions.checks(store, known(store, 1, IntegratedGradients(), Part.CHECKS))
    assert sorted(found.places.tolist()) == sorted(known(store, 1, IntegratedGradients())[0].places)
    assert ((found.deletion >= 0) & (found.deletion <= 1)).all()
    assert (np.abs(found.sanity) <= 1).all()
    assert found.insertion.mean() > found.deletion.mean(), "the maps say something"


def test_the_class_that_is_explained_can_be_chosen(store):
    explain(store, 1, images=ImageSet(n=4), target=7)
    assert read_attributions.maps(store, known(store, 1, IntegratedGradients(), target="7")).targets.tolist() == [7] * 4
    with pytest.raises(ConfigError, match="target 10 is no class of this data; choose predicted, true or a number"):
        explain(store, 1, images=ImageSet(n=4), target=10)


def test_a_stop_keeps_what_is_there(store):
    task = jobs.create_task(store, 1, Explain(images=ImageSet(n=50)), status=Status.RUNNING)

    def stopped_after_two_files(done, total, phase):
        if done == 32:
            raise Stopped

    with pytest.raises(Stopped):
        module.explain(store, read_tasks.task(store, task), stopped_after_two_files)
    assert sum(len(one.places) for one in known(store, 1, IntegratedGradients())) == 32


def test_another_checkpoint_has_maps_of_its_own(store):
    explain(store, 1, images=ImageSet(n=4))
    weights = store.paths(1).model
    shutil.copy(store.paths(2).model, weights)
    explain(store, 1, images=ImageSet(n=4))
    there = read_attributions.attributions(store, [1])
    assert len({one.fingerprint for one in there}) == 2
    assert len(read_attributions.latest(there)) == 1


def test_a_run_that_is_deleted_takes_its_maps_along(store):
    explain(store, 1, images=ImageSet(n=4))
    jobs.delete(store, 1)
    assert read_attributions.attributions(store, [1]) == []
    assert not store.paths(1).folder.exists()


def test_a_torn_file_is_a_sentence(store):
    explain(store, 1, images=ImageSet(n=4), methods=[Occlusion()])
    there = known(store, 1, Occlusion())
    store.paths(1).attributions(there[0].file).write_bytes(b"PK not a zip")
    with pytest.raises(StoreDamaged, match=r"cannot be read .* remove that file, then compute them again"):
        read_attributions.maps(store, there)
    store.paths(1).attributions(there[0].file).unlink()
    explain(store, 1, images=ImageSet(n=4), methods=[Occlusion()])
    assert len(read_attributions.maps(store, known(store, 1, Occlusion()))) == 4
