"""How many faulty runs `gradscope.analysis.cure` heals, with the labelled trainings in place of the store's."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.labelled.cases import Case, Plant
from benchmarks.labelled.measure import Told
from benchmarks.labelled.training import train
from benchmarks.labelled.truth import learned
from gradscope.analysis.cure import Judged, search
from gradscope.analysis.findings import Finding, Remedy, Severity, diagnose
from gradscope.config import RunConfig
from gradscope.diagnosis import tables_of
from gradscope.errors import ConfigError
from gradscope.store import Store, open_store, read

MOST = 8

MENDED = {
    "no_gradient": {"cut_before": None},
    "output_activation": {"output": "logits"},
    "wrong_loss": {"loss": "cross_entropy"},
    "input_scale": {"input_scale": 1.0, "input_offset": 0.0},
    "nonfinite": {"bad_row": None, "log_of_relu": False},
    "dead_units": {"hidden_bias": None},
    "plateau": {"random_labels": 0.0},
    "overfitting": {"train_size": None, "random_labels": 0.0},
}
"""What somebody mends in code or data who follows a finding's advice; of no use where that is not the slip."""


@dataclass
class Count:
    tried: int = 0
    cured: int = 0
    tries: list[int] = field(default_factory=list)


@dataclass
class CureRate:
    by_fault: dict[str, Count]
    most: int = MOST

    @property
    def tried(self) -> int:
        return sum(c.tried for c in self.by_fault.values())

    @property
    def cured(self) -> int:
        return sum(c.cured for c in self.by_fault.values())


def cure_rate(told: Sequence[Told]) -> CureRate:
    """Cure every faulty run."""
    rate = CureRate(by_fault={})
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "runs.db", create=True)
        for t in told:
            if t.outcome.label == "faulty":
                tries, is_cured = _cure(t, store)
                count = rate.by_fault.setdefault(t.outcome.case.fault, Count())
                count.tried, count.cured = count.tried + 1, count.cured + is_cured
                count.tries.append(tries)
        store.close()
    return rate


def _cure(told: Told, store: Store) -> tuple[int, bool]:
    """Number of tries, and whether the winner learns as a healthy run does."""
    case = told.outcome.case
    findings = tuple(diagnose(told.outcome.tables))
    well: dict[int, bool] = {}

    def attempt(config: RunConfig, remedy: Remedy) -> Judged:
        return _judged(replace(case, config=config), store, well)

    mended = _mended(case, findings)
    if mended is not None:
        judged = _judged(mended, store, well)
        if judged.is_healthy and well[judged.run_id]:
            return 1, True
        case = mended
    accuracy = told.outcome.tables.val_accuracy.finite
    ill = Judged(run_id=0, findings=findings, val_accuracy=float(accuracy[-1]) if accuracy.size else None)
    found = search(case.config, ill, attempt, MOST)
    won = found.winner is not None and well.get(found.trials[found.winner].judged.run_id, False)
    return len(found.trials) - 1 + (mended is not None), won


def _mended(case: Case, findings: Sequence[Finding]) -> Case | None:
    """The case without the slip that a finding names."""
    changes = {}
    for finding in findings:
        if finding.severity is not Severity.NOTE:
            changes |= MENDED.get(finding.name, {})
    plant: Plant = replace(case.plant, **changes)
    return replace(case, plant=plant) if plant != case.plant else None


def _judged(case: Case, store: Store, well: dict[int, bool]) -> Judged:
    try:
        run_id = train(case, store)
    except ConfigError:  # a remedy that this network cannot take, such as norms between recurrent levels
        return Judged(run_id=-1, findings=(), val_accuracy=None, ended_well=False)
    tables = tables_of(store, read.run(store, run_id), max_steps=10_000)
    well[run_id] = learned(case, tables)
    accuracy = tables.val_accuracy.finite
    found = tuple(diagnose(tables))
    return Judged(run_id=run_id, findings=found, val_accuracy=float(accuracy[-1]) if accuracy.size else None)
