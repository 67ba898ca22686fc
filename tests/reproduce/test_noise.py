"""The part of a reproduction that tests trained networks on noisy pictures."""

import numpy as np
import pytest
from reproductions import PN, Ended, Found

from gradscope.analysis.published_robustness import published
from gradscope.jobs.lock import Lock
from gradscope.measured import CLEAN, RobustnessPoint
from gradscope.paths import supervisor_lock
from gradscope.records import Status
from gradscope.reproduce.plan import plan
from gradscope.reproduce.report import markdown, noise_sentence, noise_tables
from gradscope.reproduce.scales import scale_of
from gradscope.reproduce.start import queue
from gradscope.reproduce.summary import noise_order, under_noise
from gradscope.store import Store, read_tasks, write_robustness, write_tasks

NOISE = scale_of("tiny").noise


def measure(store: Store, run: int, status: Status = Status.COMPLETED, **accuracies: list[float]) -> None:
    """The task and its points: accuracy without noise, then at each level, for each kind."""
    task = write_tasks.create(store, run, NOISE.name, NOISE.model_dump(mode="json"), status=Status.RUNNING)
    for kind, values in accuracies.items():
        for level, accuracy in zip((0.0, *NOISE.levels), values, strict=True):
            point = RobustnessPoint(
                kind=kind if level else CLEAN,
                level=level,
                seed=0,
                draws=NOISE.draws if level else 1,
                images=50,
                step=4,
                fingerprint="f",
                accuracy=accuracy,
                deviation=None,
                accuracies=(accuracy,),
                per_class={},
                right=bytes(50),
                device="cpu",
                settings={},
            )
            write_robustness.point(store, run, point)
    write_tasks.finish(store, task, status)


def test_a_trained_run_is_done_when_it_is_tested_too(store: Store, found: Found, ended: Ended) -> None:
    run = ended("pn-dual")
    group = found("pn-dual", "pn-direct", seeds=1)
    dual, direct = (next(i for i in group.items if i.experiment.name == n) for n in ("pn-dual", "pn-direct"))
    assert (dual.is_trained, dual.lacks_noise, dual.is_done) == (True, True, False)
    assert direct.noise is None
    assert "0 done, 0 under way, 1 to train, 1 to test under noise" in plan(group, [], in_background=False).sentence
    measure(store, run, Status.FAILED)
    assert found("pn-dual", seeds=1).items[0].lacks_noise
    measure(store, run)
    assert found("pn-dual", seeds=1).items[0].is_done
    assert found("pn-dual", seeds=1).to_do == []


def test_a_test_with_other_settings_does_not_count(store: Store, found: Found, ended: Ended) -> None:
    run = ended("pn-dual")
    other = NOISE.model_copy(update={"draws": 7}).model_dump(mode="json")
    write_tasks.create(store, run, NOISE.name, other, status=Status.COMPLETED)
    assert found("pn-dual", seeds=1).items[0].lacks_noise


def test_a_net_that_diverged_is_not_tested(found: Found, ended: Ended) -> None:
    ended("pn-dual", status=Status.DIVERGED, accuracy=None)
    assert found("pn-dual", seeds=1).items[0].is_done


def test_what_lacks_its_test_is_queued_for_it(store: Store, found: Found, ended: Ended) -> None:
    run = ended("pn-dual")
    model = store.paths(run).model
    model.parent.mkdir(parents=True)
    model.touch()
    lock = Lock(supervisor_lock(store.name))
    assert lock.acquire()
    try:
        assert queue(store, found("pn-dual", seeds=1).to_do) == [run]
    finally:
        lock.release()
    (task,) = read_tasks.tasks(store, [run])
    assert (task.kind, task.status) == ("robustness", Status.QUEUED)
    assert found("pn-dual", seeds=1).items[0].is_going


def test_accuracies_under_noise_are_means_over_the_seeds(store: Store, found: Found, ended: Ended) -> None:
    for seed, shift in enumerate((0.0, 0.1)):
        run = ended("pn-dual", seed, 0.7)
        gaussian, uniform = [0.6 + shift, 0.5 + shift, 0.2], [0.6 + shift, 0.5 + shift, 0.3]
        measure(store, run, gaussian_noise=gaussian, uniform_noise=uniform)
    group = found("pn-dual")
    table = under_noise(store, group).set_index(["kind", "level"])
    row = table.loc[("gaussian_noise", 0.1)]
    assert (row["title"], row["n"]) == ("Model 1, dual form", 2)
    np.testing.assert_allclose([row["mean"], row["deviation"]], [0.55, 0.0707], atol=1e-4)
    order = noise_order(store, group)
    assert order is not None
    assert (order.lower, order.of, order.mean) == (2, 4, pytest.approx(0.05))
    gaussian = noise_tables(store, group)["gaussian_noise"]
    assert gaussian.columns.tolist() == ["experiment", "clean", "0.1", "0.5"]
    assert gaussian["0.5"].tolist() == ["20.0 ± 0.0 %"]
    assert (
        "in 2 of 4 pairs of a network and a level; under uniform noise the accuracy is 5.0 points higher"
        in markdown(store, group)
    )


def test_without_a_test_there_is_no_sentence(store: Store, found: Found, ended: Ended) -> None:
    ended("pn-dual")
    assert noise_sentence(store, found("pn-dual")) == ""
    assert noise_tables(store, found("pn-dual")) == {}


def test_the_published_figures_are_those_of_the_page_about_noise() -> None:
    for experiment in PN.experiments:
        beside = published(experiment.config.model_dump(mode="json"))
        if experiment.published and experiment.name != "model-2":  # of which the paper says "nearly the same" only
            assert beside is not None, experiment.name
            assert beside.accuracy == experiment.published.accuracy
