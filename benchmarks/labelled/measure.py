"""How good a diagnosis is on labelled runs: what it misses, what it invents, how soon it tells."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from benchmarks.labelled import autotrainer
from benchmarks.labelled.cases import Case
from benchmarks.labelled.truth import TRUTHS, label, overfits
from gradscope.analysis.findings import Finding, Severity, Tables, Thresholds, diagnose


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A trained case."""

    case: Case
    tables: Tables
    seconds: float
    """Of processor time, for the training and its recording."""
    true: frozenset[str] = frozenset()
    """Findings that are true of the network at its start or its end, whatever was planted: see facts."""

    @cached_property
    def label(self) -> str:
        return label(self.case, self.tables)


@dataclass(frozen=True, kw_only=True)
class Told:
    """What was said of a case."""

    outcome: Outcome
    names: frozenset[str]
    """Findings at the end that are more than notes."""
    first: float | None
    """Share of the training after which an expected finding was told for the first time and held; None if never."""
    ever: frozenset[str]
    """Findings at any recorded step."""
    autotrainer: frozenset[str]
    """What AutoTrainer says at the end of any epoch."""
    autotrainer_first: float | None
    """Share of the training after which it said the right thing."""

    @property
    def is_found(self) -> bool:
        return bool(self.names & TRUTHS[self.outcome.case.fault].expected)


def tell(outcome: Outcome, limits: Thresholds | None = None) -> Told:
    """Diagnose a case at its end and, for the time that it takes, at every recorded step before."""
    tables = outcome.tables
    by_step = {step: _names(diagnose(tables.until(step), limits)) for step in tables.steps}
    at_end = _names(diagnose(tables, limits))
    by_epoch = {int(s): frozenset(_autotrainer(outcome, int(s))) for s in tables.accuracy.steps} or {
        tables.last_step: frozenset(_autotrainer(outcome, tables.last_step))
    }
    truth = TRUTHS.get(outcome.case.fault)
    wanted = truth.expected if truth else frozenset()
    theirs = frozenset(autotrainer.NAMES.get(outcome.case.fault, "").split())
    return Told(
        outcome=outcome,
        names=at_end,
        first=_share(outcome, _first(by_step, lambda names: bool(names & wanted))) if at_end & wanted else None,
        ever=frozenset().union(at_end, *by_step.values()),
        autotrainer=frozenset().union(*by_epoch.values()),
        autotrainer_first=_share(outcome, _first(by_epoch, lambda names: bool(names & theirs))),
    )


def _names(findings: Iterable[Finding]) -> frozenset[str]:
    return frozenset(f.name for f in findings if f.severity is not Severity.NOTE)


def _autotrainer(outcome: Outcome, step: int) -> set[str]:
    return autotrainer.problems(outcome.case, outcome.tables.until(step))


def _first(by_step: dict[int, frozenset[str]], right: Callable[[frozenset[str]], bool]) -> int | None:
    return next((step for step, names in sorted(by_step.items()) if right(names)), None)


def _share(outcome: Outcome, step: int | None) -> float | None:
    return None if step is None else (step + 1) / outcome.tables.horizon


@dataclass(frozen=True, kw_only=True)
class Score:
    """Of one finding."""

    name: str
    found: int
    """Runs with a fault of which this is expected, of which it, or another expected one, is told."""
    expected: int
    right: int
    """Runs of which it is told, and may be: a planted fault, what comes of it, or what was measured beside it."""
    told: int

    @property
    def recall(self) -> float:
        return self.found / self.expected if self.expected else float("nan")

    @property
    def precision(self) -> float:
        return self.right / self.told if self.told else float("nan")


def scores(told: Sequence[Told]) -> list[Score]:
    """Recall and precision of every finding, over the faulty and the healthy runs."""
    known = [t for t in told if t.outcome.label != "unclear"]
    names = sorted({name for truth in TRUTHS.values() for name in truth.expected} | {n for t in known for n in t.names})
    return [_score(name, known) for name in names]


def _score(name: str, known: Sequence[Told]) -> Score:
    faulty = [t for t in known if t.outcome.label == "faulty"]
    expected = [t for t in faulty if name in TRUTHS[t.outcome.case.fault].expected]
    saying = [t for t in known if name in t.names]
    right = [t for t in saying if t in faulty and name in _true_of(t)]
    return Score(
        name=name, found=sum(t.is_found for t in expected), expected=len(expected), right=len(right), told=len(saying)
    )


def _true_of(told: Told) -> frozenset[str]:
    truth = TRUTHS[told.outcome.case.fault]
    beside = {"overfitting"} if overfits(told.outcome.tables) else frozenset()
    return truth.expected | truth.also | told.outcome.true | beside
