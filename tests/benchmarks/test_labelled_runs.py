"""A dozen of the labelled trainings: each planted fault is told, and nothing is told of the healthy ones."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from planted import decaying, scaled
from planted import healthy as healthy_tables

from benchmarks.labelled import autotrainer, facts
from benchmarks.labelled.cases import FAULTS, Case, draw, healthy
from benchmarks.labelled.measure import Outcome, scores, tell
from benchmarks.labelled.training import train
from benchmarks.labelled.truth import TRUTHS, label
from gradscope.analysis.findings import Tables
from gradscope.diagnosis import tables_of
from gradscope.overrides import with_overrides
from gradscope.records import Kind
from gradscope.store import Store, open_store, read

TRIED = (
    *("vanishing", "exploding", "dying_signal", "dead_units", "saturated_units", "tiny_rate"),
    *("no_gradient", "clipped", "raw_inputs", "wrong_output", "wrong_loss"),
)


def small(case: Case) -> Case:
    """On circles, by the fully connected network: a fraction of a second."""
    case = replace(case, network="mlp", data="circles")
    return case.changed({"model.width": 16, "train.epochs": 5, "train.batch_size": 32, "schedule.name": "constant"})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = open_store(tmp_path_factory.mktemp("labelled") / "runs.db", create=True)
    yield made
    made.close()


def trained(case: Case, store: Store) -> Outcome:
    done = train(case, store)
    return Outcome(case=case, tables=tables_of(store, read.run(store, done.run_id)), seconds=0.0, true=done.true)


@pytest.mark.parametrize("fault", TRIED)
def test_a_planted_fault_is_told(store: Store, fault: str) -> None:
    case = replace(small(FAULTS[fault](np.random.default_rng(1), 1)), fault=fault)
    told = tell(trained(case, store))
    assert told.is_found, told.names
    assert told.names <= TRUTHS[fault].expected | TRUTHS[fault].also | told.outcome.true
    assert told.first is not None


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        *(("vanishing", "vanishing_gradient"), ("exploding", "exploding_signal"), ("dying_signal", "dying_signal")),
        *(("dead_units", "dead_units"), ("saturated_units", "saturated_units"), ("overflowing", "amp_overflow")),
        ("oscillating", "oscillating_loss"),
    ],
)
def test_what_is_true_of_a_network_is_measured_beside_the_rules(store: Store, fault: str, name: str) -> None:
    case = small(FAULTS[fault](np.random.default_rng(1), 1))
    assert name in train(case, store).true
    usual = small(healthy(np.random.default_rng(3), 3, ("mlp",))).changed({"train.epochs": 1})
    assert train(usual, store).true == frozenset()


def test_nothing_is_told_of_a_healthy_run(store: Store) -> None:
    case = small(healthy(np.random.default_rng(3), 3, ("mlp",)))
    settings = {"model.depth": 4, "model.activation": "relu", "optimizer.name": "adam", "optimizer.lr": 0.01}
    case = case.changed({**settings, "methods.initialisation.scheme": "he", "train.epochs": 12})
    told = tell(trained(case, store))
    assert told.outcome.label == "healthy"
    assert (told.names, told.ever) == (frozenset(), frozenset())


def test_a_case_is_drawn_by_its_number_alone() -> None:
    assert draw(17) == draw(17)
    assert draw(17) != draw(18)
    assert [draw(n).half for n in (0, 1)] == ["choose", "report"]


def test_half_of_the_cases_are_healthy_and_every_fault_is_in_both_halves() -> None:
    cases = [draw(n) for n in range(4 * len(FAULTS))]
    assert sum(c.fault == "healthy" for c in cases) == len(cases) // 2
    for half in ("choose", "report"):
        assert {c.fault for c in cases if c.half == half} == {"healthy", *FAULTS}


def test_every_fault_can_be_drawn_and_has_a_truth() -> None:
    assert set(TRUTHS) == {*FAULTS, "conflicting"}
    for name, fault in FAULTS.items():
        for number in range(20):
            case = fault(np.random.default_rng(number), number)
            assert with_overrides(case.config, {}) == case.config, name


def outcome(fault: str, tables: Tables) -> Outcome:
    return Outcome(case=replace(draw(0), fault=fault, data="digits"), tables=tables, seconds=0.0)


def test_recall_and_precision_count_what_may_be_told_and_what_must() -> None:
    vanished = scaled(scaled(healthy_tables(), Kind.SIGNAL, decaying(0.2)), Kind.UPDATE, decaying(0.2))
    runs = [
        outcome("vanishing", vanished),
        outcome("wrong_loss", vanished),
        outcome("nonfinite", healthy_tables()),
        outcome("healthy", healthy_tables()),
    ]
    found = {s.name: s for s in scores([tell(run) for run in runs])}
    assert [label(r.case, r.tables) for r in runs] == ["unclear", "faulty", "faulty", "healthy"]
    assert (found["vanishing_gradient"].right, found["vanishing_gradient"].told) == (0, 1)
    beside = replace(runs[1], true=frozenset({"vanishing_gradient"}))
    assert next(s for s in scores([tell(beside)]) if s.name == "vanishing_gradient").precision == 1.0
    assert (found["wrong_loss"].found, found["wrong_loss"].expected) == (0, 1)
    assert found["nonfinite"].recall == 0.0


def test_healthy_settings_of_which_overfitting_comes_are_neither_healthy_nor_faulty() -> None:
    good = healthy_tables()
    assert label(outcome("healthy", good).case, good) == "healthy"
    for end, expected in ((1.2, "unclear"), (0.9, "healthy")):
        risen = replace(good.val_loss, values=np.linspace(0.8, end, len(good.val_loss)))
        seen = replace(good, curves={**good.curves, "val_loss": risen})
        assert label(outcome("healthy", seen).case, seen) == expected


def test_autotrainers_rules_are_those_of_its_paper() -> None:
    case = draw(0).changed({"train.epochs": 10})
    good = healthy_tables()
    assert autotrainer.problems(case, good) == set()
    flat = replace(good, curves={**good.curves, **dict.fromkeys(("train_accuracy", "val_accuracy"), curve_of(0.1))})
    assert autotrainer.problems(case, flat) == {"not_converge"}
    assert autotrainer.problems(case, scaled(flat, Kind.GRADIENT, decaying(0.2) * 1e-3)) == {"vanish"}
    assert autotrainer.problems(case, scaled(flat, Kind.GRADIENT, decaying(3.0))) == {"explode"}
    swinging = np.where(np.arange(10) % 2, 0.9, 0.7)
    swings = replace(good, curves={**good.curves, "train_accuracy": curve_of(swinging)})
    assert autotrainer.problems(case, swings) == {"unstable"}
    assert autotrainer.problems(case.planted(output="softmax"), good) == {"activation"}


def curve_of(values: float | np.ndarray):
    from planted import curve

    return curve(np.broadcast_to(values, 10), 20)


def test_the_report_is_written_from_what_was_told() -> None:
    from benchmarks.labelled.report import report

    runs = [outcome("nonfinite", healthy_tables()), outcome("healthy", healthy_tables())]
    text = report([tell(replace_number(run, 2 * i + 1)) for i, run in enumerate(runs)], None)
    assert "| faulty runs whose fault is named | 0.0% (0 of 1) | 0.0% (0 of 1) |" in text
    assert "| healthy runs with a finding at the end | 0.0% (0 of 1) | 0.0% (0 of 1) |" in text
    assert "| nonfinite | 0.0% (0 of 1) | 0% to 79% |  |  |" in text
    assert "| nonfinite | 1 | 1 | " in text


@pytest.mark.parametrize(("count", "total", "interval"), [(20, 20, "84% to 100%"), (19, 20, "76% to 99%"), (0, 0, "")])
def test_a_share_of_few_runs_has_a_wide_interval(count: int, total: int, interval: str) -> None:
    from benchmarks.labelled.report import wilson

    assert wilson(count, total) == interval


def test_a_loss_that_goes_up_again_and_again_on_the_same_pictures_swings() -> None:
    ignorant = np.log(10)
    assert facts.swings([2.3, 1.2, 2.0, 0.9, 1.8, 0.8, 1.7], ignorant), "up by 2.6 in all"
    assert not facts.swings([2.3, 1.2, 1.6, 0.9, 1.3, 0.8, 1.2], ignorant), "up by 1.2 in all"
    assert not facts.swings([2.3, 0.5, 0.6, 4.9, 4.8, 4.7], ignorant), "up once"
    assert not facts.swings([80.0, 50.0, 70.0, 40.0, 50.0, 30.0, 40.0], ignorant), "a large loss is its own measure"
    assert not facts.swings([2.3, np.nan, 1.0, 4.0, 1.0, 4.0, 1.0, 4.0], ignorant), "what comes after does not count"


def test_the_first_faulty_runs_of_each_fault_are_cured() -> None:
    from benchmarks.labelled.cures import FIRST, first_of_each

    faults = ["nonfinite"] * (FIRST + 2) + ["wrong_loss", "healthy"]
    told = [tell(replace_number(outcome(fault, healthy_tables()), 2 * i + 1)) for i, fault in enumerate(faults)]
    assert first_of_each(told) == [*told[:FIRST], told[FIRST + 2]]


def replace_number(run: Outcome, number: int) -> Outcome:
    return replace(run, case=replace(run.case, number=number))


def test_the_readme_of_the_results_names_what_writes_it() -> None:
    assert "bench-diagnosis" in (Path(__file__).parents[2] / "Makefile").read_text()
