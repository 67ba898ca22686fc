"""The search for a cure, on runs that are made up: what is tried, in which order, and when it ends."""

import pytest

from gradscope.analysis.cure import Judged, search, tree
from gradscope.analysis.findings import Evidence, Finding, Remedy, Severity
from gradscope.analysis.findings.finding import Page
from gradscope.config import RunConfig
from gradscope.presets import PRESETS

CONFIG = PRESETS["sigmoid"].config
RELU = Remedy(title="ReLU", settings={"model.activation": "relu"})
NORM = Remedy(title="norms", settings={"methods.batch_norm": "on"})
SLOWER = Remedy(title="lower rate", settings={"optimizer.lr": "0.01"})
ADVICE = Remedy(title="look at the code", settings={})


def finding(*remedies: Remedy, severity: Severity = Severity.WARNING, name: str = "vanishing_gradient") -> Finding:
    evidence = Evidence(page=Page.CURVES)
    return Finding(
        name=name,
        severity=severity,
        text="It vanishes.",
        since=0,
        confidence=1.0,
        evidence=evidence,
        remedies=remedies,
    )


class Bench:
    """Trains nothing: an accuracy and findings by what was changed."""

    def __init__(self, results: dict[str, tuple[float | None, tuple[Finding, ...]]]) -> None:
        self.results, self.tried, self.configs = results, [], []

    def __call__(self, config: RunConfig, remedy: Remedy) -> Judged:
        self.tried.append(remedy.title)
        self.configs.append(config)
        accuracy, findings = self.results[remedy.title]
        return Judged(run_id=10 + len(self.tried), findings=findings, val_accuracy=accuracy)


def ill(*remedies: Remedy, accuracy: float = 0.1) -> Judged:
    return Judged(run_id=1, findings=(finding(*remedies, severity=Severity.CRITICAL),), val_accuracy=accuracy)


def test_it_ends_with_the_first_healthy_run_that_the_next_one_does_not_beat() -> None:
    bench = Bench({"ReLU": (0.9, ()), "norms": (0.9, ()), "lower rate": (0.99, ())})
    found = search(CONFIG, ill(RELU, NORM, SLOWER), bench)
    assert bench.tried == ["ReLU", "norms"]
    assert found.winner == 1
    assert found.trials[1].config.model.activation == "relu"
    assert found.trials[1].config.train.seed == CONFIG.train.seed


def test_a_healthy_run_that_learns_more_takes_the_place_of_one_that_learns_less() -> None:
    bench = Bench({"ReLU": (0.3, ()), "norms": (0.9, ()), "lower rate": (0.95, (finding(),))})
    found = search(CONFIG, ill(RELU, NORM, SLOWER), bench)
    assert bench.tried == ["ReLU", "norms", "lower rate"]
    assert found.winner == 2, "the last learns more still, but is not healthy"


def test_a_run_that_learns_less_than_before_is_no_cure_however_healthy() -> None:
    bench = Bench({"ReLU": (0.05, ()), "norms": (0.9, ())})
    assert search(CONFIG, ill(RELU, NORM), bench).winner == 2


def test_notes_are_healthy() -> None:
    bench = Bench({"ReLU": (0.9, (finding(severity=Severity.NOTE),))})
    assert search(CONFIG, ill(RELU), bench).winner == 1


def test_where_none_is_enough_it_goes_on_from_the_best_one() -> None:
    bench = Bench({"ReLU": (0.5, (finding(SLOWER),)), "norms": (0.3, (finding(),)), "lower rate": (0.9, ())})
    found = search(CONFIG, ill(RELU, NORM), bench)
    assert bench.tried == ["ReLU", "norms", "lower rate"]
    winner = found.trials[3]
    assert (found.winner, winner.parent) == (3, 1)
    assert (winner.config.model.activation, winner.config.optimizer.lr) == ("relu", 0.01)
    assert tree(found).splitlines() == [
        "run 1, as it was: vanishing gradient, validation 10.0%",
        "├─ run 11, ReLU: vanishing gradient, validation 50.0%",
        "│  └─ run 13, lower rate: healthy, validation 90.0%  <- healthy, take this",
        "└─ run 12, norms: vanishing gradient, validation 30.0%",
    ]


def test_it_ends_where_nothing_gets_better() -> None:
    bench = Bench({"ReLU": (0.1, (finding(NORM, severity=Severity.CRITICAL),))})
    found = search(CONFIG, ill(RELU), bench)
    assert (bench.tried, found.winner) == (["ReLU"], None)


def test_no_remedy_is_tried_twice_and_advice_is_none() -> None:
    same = Remedy(title="ReLU once more", settings={"model.activation": "relu"})
    bench = Bench({"ReLU": (0.2, (finding(RELU, ADVICE),))})
    search(CONFIG, ill(RELU, same, ADVICE), bench)
    assert bench.tried == ["ReLU"]


def test_what_is_behind_a_cause_that_is_gone_is_treated_next_although_nothing_is_learned_yet() -> None:
    behind = finding(SLOWER, name="plateau", severity=Severity.CRITICAL)
    bench = Bench({"ReLU": (0.1, (behind,)), "norms": (0.1, (finding(),)), "lower rate": (0.9, ())})
    found = search(CONFIG, ill(RELU, NORM), bench)
    assert (found.winner, found.trials[3].parent) == (3, 1)


def test_a_cause_that_is_left_as_a_note_is_gone_and_what_is_behind_it_is_treated_at_less_accuracy_too() -> None:
    left = finding(severity=Severity.NOTE)
    behind = finding(SLOWER, name="plateau", severity=Severity.CRITICAL)
    bench = Bench({"ReLU": (0.2, (behind, left)), "norms": (0.1, (finding(),)), "lower rate": (0.9, ())})
    found = search(CONFIG, ill(RELU, NORM, accuracy=0.4), bench)
    assert (found.winner, found.trials[3].parent) == (3, 1)


def test_a_remedy_is_tried_again_on_top_of_another() -> None:
    behind = finding(NORM, name="plateau", severity=Severity.CRITICAL)
    bench = Bench({"ReLU": (0.3, (behind,)), "norms": (0.1, (finding(),))})
    found = search(CONFIG, ill(RELU, NORM), bench)
    assert bench.tried == ["ReLU", "norms", "norms"]
    assert found.trials[3].config.model.activation == "relu"


def little(accuracy: float, learned: float) -> Judged:
    return Judged(run_id=1, findings=(), val_accuracy=accuracy, learned=learned)


def test_a_healthy_run_that_has_more_to_learn_is_given_what_usually_helps_step_by_step() -> None:
    results = {"initialise by xavier, gain 1": (0.3, 0.2), "batch normalisation": (0.7, 0.9)}
    tried: list[tuple[str, float]] = []

    def attempt(config: RunConfig, remedy: Remedy) -> Judged:
        tried.append((remedy.title.split(",")[0], config.optimizer.lr))
        accuracy, learned = results.get(remedy.title, (0.2, 0.1)) if config.optimizer.lr != 0.003 else (0.5, 0.4)
        return Judged(run_id=len(tried), findings=(), val_accuracy=accuracy, learned=learned)

    found = search(CONFIG, little(0.25, 0.1), attempt)
    assert found.winner is not None
    assert found.trials[found.winner].judged.learned == 0.9
    assert "shortcuts around every layer" not in [title for title, _ in tried], "it has learned enough by then"


@pytest.mark.parametrize("learned", [None, 0.75, 0.99])
def test_a_healthy_run_that_has_learned_enough_is_left_as_it_is(learned: float | None) -> None:
    healthy = Judged(run_id=1, findings=(), val_accuracy=0.3, learned=learned)
    assert len(search(CONFIG, healthy, Bench({})).trials) == 1


def test_a_run_that_diverged_counts_as_no_accuracy() -> None:
    bench = Bench({"ReLU": (None, (finding(severity=Severity.CRITICAL),))})
    found = search(CONFIG, ill(RELU), bench)
    assert "no accuracy" in tree(found)
    assert found.winner is None


def test_a_remedy_that_the_network_cannot_take_is_no_cure() -> None:
    def fail(config: RunConfig, remedy: Remedy) -> Judged:
        return Judged(run_id=2, findings=(), val_accuracy=None, ended_well=False)

    diverged = Judged(run_id=1, findings=(finding(NORM),), val_accuracy=None, ended_well=False)
    found = search(CONFIG, diverged, fail)
    assert found.winner is None
    assert "norms: failed" in tree(found)


@pytest.mark.parametrize("most", [1, 2])
def test_it_tries_no_more_than_allowed(most: int) -> None:
    bench = Bench({t: (0.1, (finding(RELU, NORM, SLOWER),)) for t in ("ReLU", "norms", "lower rate")})
    search(CONFIG, ill(RELU, NORM, SLOWER), bench, most=most)
    assert len(bench.tried) == most


def test_nothing_is_tried_on_a_healthy_run() -> None:
    healthy = Judged(run_id=1, findings=(), val_accuracy=0.9)
    found = search(CONFIG, healthy, Bench({}))
    assert (len(found.trials), found.winner) == (1, None)


def test_the_path_is_told_after_each_trial() -> None:
    seen: list[tuple[int, int | None]] = []
    bench = Bench({"ReLU": (0.1, (finding(RELU),)), "norms": (0.9, ())})
    found = search(CONFIG, ill(RELU, NORM), bench, seen=lambda path: seen.append((len(path.trials), path.winner)))
    assert seen[:3] == [(1, None), (2, None), (3, 2)]
    assert seen[-1] == (len(found.trials), found.winner)
