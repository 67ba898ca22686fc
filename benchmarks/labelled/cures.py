"""How many faulty runs `gradscope.analysis.cure` heals, with the labelled trainings in place of the store's."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from benchmarks.labelled.cases import Case, Plant
from benchmarks.labelled.kept import Bench
from benchmarks.labelled.measure import Told
from benchmarks.labelled.truth import learned
from gradscope.analysis.cure import Judged, search
from gradscope.analysis.findings import Finding, Remedy, Severity, Tables, diagnose
from gradscope.analysis.findings.learning import learned_share
from gradscope.config import RunConfig
from gradscope.errors import ConfigError
from gradscope.records import Status

MOST = 12
"""As `gradscope cure` has it where nothing is said."""

FIRST = 6
"""Of each fault so many runs are cured: every try is a training."""

MENDED = {
    "no_gradient": {"cut_before": None},
    "output_activation": {"output": "logits"},
    "wrong_loss": {"loss": "cross_entropy"},
    "input_scale": {"input_scale": 1.0, "input_offset": 0.0},
    "nonfinite": {"bad_row": None, "log_of_relu": False},
    "dead_units": {"hidden_bias": None},
    "plateau": {"random_labels": 0.0},
    "overfitting": {"train_size": None, "random_labels": 0.0},
    "gradient_conflict": {"second_term": None},
    "amp_overflow": {"growth_interval": None},
}
"""What somebody mends in code or data who follows a finding's advice; of no use where that is not the slip."""


@dataclass(frozen=True, kw_only=True)
class Cured:
    """What came of the search for a cure of one run."""

    case: Case
    tries: int
    won: bool
    """Whether its winner has no findings and learns as a healthy run does."""
    seconds: float
    """Of processor time, for all tries."""


@dataclass
class Count:
    tried: int = 0
    cured: int = 0
    tries: list[int] = field(default_factory=list)


@dataclass
class CureRate:
    by_fault: dict[str, Count] = field(default_factory=dict)
    seconds: float = 0.0
    most: int = MOST

    @property
    def tried(self) -> int:
        return sum(c.tried for c in self.by_fault.values())

    @property
    def cured(self) -> int:
        return sum(c.cured for c in self.by_fault.values())


def first_of_each(told: Sequence[Told]) -> list[Told]:
    """The first faulty runs of the report of each fault, FIRST at most."""
    count: Counter[str] = Counter()
    chosen = []
    for t in told:
        if t.outcome.label == "faulty" and t.outcome.case.half == "report":
            count[t.outcome.case.fault] += 1
            chosen += [t] * (count[t.outcome.case.fault] <= FIRST)
    return chosen


def cure_rate(cures: Sequence[Cured]) -> CureRate:
    """Counted by fault."""
    rate = CureRate(seconds=sum(c.seconds for c in cures))
    for cured in cures:
        count = rate.by_fault.setdefault(cured.case.fault, Count())
        count.tried, count.cured = count.tried + 1, count.cured + cured.won
        count.tries.append(cured.tries)
    return rate


def cure(told: Told, bench: Bench) -> Cured:
    """Mend the slip that a finding names, then search for settings."""
    case, tables = told.outcome.case, told.outcome.tables
    judge = _Judge(bench)
    first = judged(0, tables)
    mended = _mended(case, first.findings)
    if mended is not None:
        case, first = mended, judge(mended)

    def attempt(config: RunConfig, remedy: Remedy) -> Judged:
        return judge(replace(case, config=config))

    found = search(case.config, first, attempt, MOST)
    best = found.trials[found.winner or 0].judged
    won = best.is_healthy and judge.well[best.run_id]
    tries = len(found.trials) - 1 + (mended is not None)
    return Cured(case=told.outcome.case, tries=tries, won=won, seconds=judge.seconds)


def judged(number: int, tables: Tables) -> Judged:
    """A training as the search looks at it."""
    accuracy = tables.val_accuracy.finite
    return Judged(
        run_id=number,
        findings=tuple(diagnose(tables)),
        val_accuracy=float(accuracy[-1]) if accuracy.size else None,
        learned=learned_share(tables),
        ended_well=tables.status is not Status.DIVERGED,
    )


def _mended(case: Case, findings: Sequence[Finding]) -> Case | None:
    """The case without the slip that a finding names."""
    changes = {}
    for finding in findings:
        if finding.severity is not Severity.NOTE:
            changes |= MENDED.get(finding.name, {})
    plant: Plant = replace(case.plant, **changes)
    return replace(case, plant=plant) if plant != case.plant else None


class _Judge:
    """Trains and diagnoses cases, and counts what it cost."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.well = {0: False}
        """Whether each learned as a healthy run does, by its number among the tries; 0 is the run to be cured."""
        self.seconds = 0.0

    def __call__(self, case: Case) -> Judged:
        number = len(self.well)
        try:
            outcome = self.bench.outcome(case)
        except ConfigError:  # a remedy that this network cannot take, such as norms between recurrent levels
            self.well[number] = False
            return Judged(run_id=number, findings=(), val_accuracy=None, ended_well=False)
        self.seconds += outcome.seconds
        self.well[number] = learned(case, outcome.tables)
        return judged(number, outcome.tables)
