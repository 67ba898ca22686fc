"""Runs of a store are cured by real short runs."""

from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from gradscope import jobs
from gradscope.analysis.cure import tree
from gradscope.cli.app import app
from gradscope.config import Curing, Exits, RunConfig
from gradscope.cure import cure, queued
from gradscope.cured import Cured
from gradscope.errors import JobError
from gradscope.jobs import actions
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.records import Status
from gradscope.store import Store, open_store, read, read_tasks, write
from gradscope.tasks.perform import perform
from gradscope.train import train

SMALL = {"train.epochs": 8, "train.device": "cpu", "data.limit": 600, "model.width": 32, "model.depth": 8}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """With run 1, a sigmoid network whose gradient vanishes."""
    made = open_store(tmp_path_factory.mktemp("cure") / "runs.db", create=True)
    trained_here(made, with_overrides(PRESETS["sigmoid"].config, SMALL), "sigmoid", "ill")
    yield made
    made.close()


def trained_here(store: Store, config: RunConfig, name: str, tag: str) -> int:
    run_id = jobs.create(store, config, name, status=Status.RUNNING, tags=[tag])
    train(store, run_id)
    return run_id


TRIED = (
    "ReLU with He initialisation",
    "batch normalisation",
    "shortcuts around every layer",
    "Adam",
    "raise the learning rate to 0.3",
)
"""The third does not beat the second, which has more to learn: it is given what usually helps."""


def test_a_vanishing_gradient_is_cured(store: Store) -> None:
    told: list[str] = []
    found = cure(store, 1, train=trained_here, on_trial=told.append)
    assert tuple(told) == TRIED, tree(found)
    assert (found.winner, found.trials[5].parent) == (5, 2)
    kept = Cured.load(store.paths(1).cure)
    assert kept is not None
    assert [(t.run_id, t.parent) for t in kept.tried] == [(t.judged.run_id, t.parent) for t in found.trials]
    assert (kept.winner, kept.tried[5].remedy) == (5, "raise the learning rate to 0.3")
    before, cured = read.run(store, 1), read.run(store, found.trials[5].judged.run_id)
    assert (cured.name, cured.tags) == ("sigmoid, raise the learning rate to 0.3", ("cure of 1",))
    assert cured.config["train"] == before.config["train"]
    assert (cured.results.val_accuracy or 0) > (before.results.val_accuracy or 0) + 0.5


def test_shorter_tries_are_compared_with_a_run_of_their_length(store: Store) -> None:
    lengths: list[int] = []

    def watched(store: Store, config: RunConfig, name: str, tag: str) -> int:
        lengths.append(config.train.epochs)
        return trained_here(store, config, name, tag)

    found = cure(store, 1, epochs=4, most=1, train=watched)
    assert lengths == [4, 4]
    assert found.trials[0].judged.run_id != 1


def test_a_loop_of_somebodys_own_cannot_be_started_from_here(store: Store) -> None:
    run_id = write.create_run(store, name="mine", source="attached", config={"lr": 0.1}, status=Status.RUNNING)
    with pytest.raises(JobError, match=f"run {run_id} is running; stop it"):
        cure(store, run_id)
    write.finish(store, run_id, Status.COMPLETED)
    with pytest.raises(JobError, match="trained by a loop of its own, which cannot be started from here"):
        cure(store, run_id)


class Enough(Exception):
    """Somebody wants no more of it."""


def test_whatever_ends_the_waiting_stops_the_try(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(actions, "ensure_supervisor", lambda store: None)  # nobody is to train it

    def enough() -> None:
        raise Enough

    with pytest.raises(Enough):
        queued(store, with_overrides(PRESETS["sigmoid"].config, SMALL), "never wanted", "cure of 1", enough)
    newest = max(read.runs(store), key=lambda run: run.id)
    assert (newest.name, newest.status) == ("never wanted", Status.STOPPED)


def test_a_run_without_a_checkpoint_may_be_cured_but_not_measured(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actions, "ensure_supervisor", lambda store: None)
    run_id = write.create_run(store, name="diverged", source="train", config={}, status=Status.DIVERGED)
    with pytest.raises(JobError, match="has no checkpoint to work on"):
        jobs.create_task(store, run_id, Exits(), status=Status.QUEUED)
    task = read_tasks.task(store, jobs.create_task(store, run_id, Curing(most=3), status=Status.QUEUED))
    assert (task.kind, task.settings["most"]) == ("cure", 3)


@pytest.mark.slow  # starts processes, each of which loads PyTorch
def test_the_task_queues_the_tries_and_counts_them(store: Store) -> None:
    task_id = jobs.create_task(store, 1, Curing(epochs=3, most=1), status=Status.QUEUED)
    assert perform(store, task_id) is Status.COMPLETED
    task, kept = read_tasks.task(store, task_id), Cured.load(store.paths(1).cure)
    assert (task.done, task.total) == (1, 1)
    assert kept is not None
    assert [one.remedy for one in kept.tried] == [None, "ReLU with He initialisation"]


@pytest.mark.slow  # starts processes, each of which loads PyTorch
def test_the_command_queues_the_tries_and_shows_the_tree_and_the_winners_settings(store: Store) -> None:
    done = CliRunner().invoke(app, ["cure", "1", "--store", store.name])
    assert done.exit_code == 0, done.output
    tried = "".join(f"trying: {title}\n" for title in TRIED)
    assert done.output.startswith(f"{tried}run 1, as it was: ")
    assert "the winner's settings:\ngradscope train --preset sigmoid" in done.output
    assert "--set methods.batch_norm=on" in done.output
