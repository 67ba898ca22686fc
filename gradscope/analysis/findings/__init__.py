"""What is wrong with a run, in sentences: pure rules from its tables to findings, worst first.

tables = Tables.of(layers, statistics, metrics)
for finding in diagnose(tables):
    print(finding.text)
"""

import warnings
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache

import numpy as np

from gradscope.analysis.findings import conflict, course, finite, flow, setup, treatment, units, updates
from gradscope.analysis.findings.finding import Evidence, Finding, Remedy, Severity
from gradscope.analysis.findings.remedies import remedies_for, settings_of
from gradscope.analysis.findings.tables import Tables
from gradscope.analysis.findings.thresholds import Thresholds

__all__ = [
    "RULES",
    "Evidence",
    "Finding",
    "Remedy",
    "Severity",
    "Tables",
    "Thresholds",
    "diagnose",
    "is_healthy",
    "verdict",
]

Rule = Callable[[Tables, Thresholds], list[Finding]]

RULES: tuple[Rule, ...] = (
    finite.nonfinite,
    finite.overflows,
    flow.vanishing,
    flow.exploding,
    flow.dying,
    flow.swollen,
    units.saturated,
    units.dead,
    updates.no_gradient,
    updates.no_update,
    updates.large_update,
    treatment.clipping,
    treatment.amplification,
    conflict.gradient_conflict,
    setup.input_scale,
    setup.output_activation,
    setup.wrong_loss,
    course.plateau,
    course.slow_convergence,
    course.oscillating,
    course.overfitting,
)
"""Each looks at the tables for one thing, and knows nothing of the others."""

_SPOILED_START = frozenset({"input_scale", "wrong_loss"})
_NO_FLOW = frozenset({"vanishing_gradient", "dying_signal", "dead_units", "saturated_units", "no_gradient"})
_TORN = frozenset({"exploding_gradient", "exploding_signal", "amplification", "large_update", "nonfinite"})

_STUCK = _SPOILED_START | _NO_FLOW | _TORN | {"clipping", "gradient_conflict", "output_activation"}

EXPLAINED_BY: Mapping[str, frozenset[str]] = {
    "vanishing_gradient": _SPOILED_START | {"dying_signal", "dead_units"},
    "exploding_gradient": _SPOILED_START | {"amplification"},
    "exploding_signal": _SPOILED_START,
    "dying_signal": _SPOILED_START | {"dead_units", "amplification", "large_update"},
    "dead_units": _SPOILED_START | {"exploding_gradient", "amplification", "large_update"},
    "saturated_units": _SPOILED_START | {"amplification", "large_update"},
    "large_update": _SPOILED_START | {"exploding_gradient", "exploding_signal", "amplification"},
    "amp_overflow": _SPOILED_START | {"exploding_gradient", "exploding_signal", "large_update"},
    "no_update": _STUCK,
    "slow_convergence": _STUCK,
    "oscillating_loss": _SPOILED_START | {"no_update", "clipping", "gradient_conflict"},
    "plateau": _STUCK | {"no_update", "slow_convergence", "amp_overflow"},
}
"""A finding that one of these explains is not told, as long as the cause itself is: what the user can mend is told."""

EXPLAINED_BY_EARLIER: Mapping[str, frozenset[str]] = {
    "exploding_signal": frozenset({"large_update"}),
    "exploding_gradient": frozenset({"large_update"}),
    "vanishing_gradient": frozenset({"large_update", "amplification", "saturated_units"}),
    "dead_units": frozenset({"dying_signal"}),
}
"""The same where the cause began before, or with it after the first step: steps too large make a network explode, or
saturate until its gradient vanishes, that began well; so do layers that saturate by themselves."""


def diagnose(tables: Tables, limits: Thresholds | None = None) -> list[Finding]:
    """What the rules find, without what another finding explains, the worst first.

    Args:
        tables: of one run.
        limits: where findings begin; the default ones were chosen on labelled trainings.
    """
    config = settings_of(tables.config)
    return [replace(f, remedies=remedies_for(f, config, tables.horizon)) for f in causes(tables, limits)]


def causes(tables: Tables, limits: Thresholds | None = None) -> list[Finding]:
    """The same findings without remedies, for who looks at many steps: remedies take a quarter of the time."""
    found = _unexplained(every_finding(tables, limits))
    return sorted(found, key=lambda f: (f.until is not None, -f.severity.rank, -f.confidence, f.since))


def _unexplained(found: list[Finding]) -> list[Finding]:
    """Those that nothing else explains. A finding that is itself explained holds nothing back."""
    active = {f.name: f.since for f in found if f.severity is not Severity.NOTE and f.until is None}
    late = {
        f.name
        for f in found
        for cause in EXPLAINED_BY_EARLIER.get(f.name, ())
        if cause in active and (active[cause] < f.since or active[cause] == f.since > 0)
    }
    causes = _told(active.keys() - late)
    return [f for f in found if f.name not in late and not EXPLAINED_BY.get(f.name, frozenset()) & causes]


def _told(names: AbstractSet[str]) -> frozenset[str]:
    """Those of the names that no other one explains that is told itself; no chain of EXPLAINED_BY is a circle."""

    @cache
    def is_told(name: str) -> bool:
        return not any(is_told(cause) for cause in EXPLAINED_BY.get(name, frozenset()) & names)

    return frozenset(filter(is_told, names))


def every_finding(tables: Tables, limits: Thresholds | None = None) -> list[Finding]:
    """What each rule finds, in the order of the rules, causes and consequences alike."""
    chosen = limits or Thresholds()
    # a layer that was never measured has no median, and numbers near the end of float64 overflow: both are answers here
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return [finding for rule in RULES for finding in rule(tables, chosen)]


def is_healthy(findings: list[Finding]) -> bool:
    """Whether there is nothing but notes."""
    return all(f.severity is Severity.NOTE for f in findings)


def verdict(findings: list[Finding], tables: Tables) -> str:
    """The diagnosis in one sentence."""
    if tables.last_step < 0:
        return "Nothing is recorded yet."
    worrying = [f for f in findings if f.severity is not Severity.NOTE]
    if worrying:
        others = len(worrying) - 1
        more = "" if not others else f" And {others} more finding{'s' if others > 1 else ''}."
        until = worrying[0].until
        return (f"Until step {until}: " if until is not None else "") + worrying[0].text + more
    notes = " ".join(f.text for f in findings[:1])
    return f"Healthy as far as recorded, up to step {tables.last_step}.{' ' + notes if notes else ''}"
