"""The search for a cure: which remedy to try next, and when to stop. What a try is, is handed in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradscope.analysis.findings import Finding, Remedy, Severity, is_healthy
from gradscope.config import RunConfig
from gradscope.overrides import with_overrides

DEEPEST = 3
"""Remedies on top of each other."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What came of a training."""

    run_id: int
    findings: tuple[Finding, ...]
    val_accuracy: float | None
    """0..1; None where there is none, as of a run that diverged."""
    ended_well: bool = True
    """Whether it went on to its end; a remedy that a network cannot take makes a run that fails."""

    @property
    def is_healthy(self) -> bool:
        """Whether it came to its end and nothing but notes is found."""
        return self.ended_well and is_healthy(list(self.findings))

    @property
    def worst(self) -> int:
        """Rank of the worst finding; -1 for none."""
        return max((f.severity.rank for f in self.findings), default=-1)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A place in the tree of what was tried."""

    config: RunConfig
    judged: Judged
    remedy: Remedy | None
    """What was added to the parent's settings; None at the root."""
    parent: int | None
    """Place of the parent among the trials."""


@dataclass(frozen=True, kw_only=True)
class Cure:
    """The path of a search."""

    trials: tuple[Trial, ...]
    """In the order in which they were tried; the first is the run to be cured."""
    winner: int | None
    """Place of the one to take: healthy, and learns no less than the first; None if there is none."""


Try = Callable[[RunConfig, Remedy], Judged]
"""Trains a config, which is that of a trial with a remedy added, and judges it."""


def search(config: RunConfig, ill: Judged, attempt: Try, most: int = 12) -> Cure:
    """Try the remedies against the findings of a run, best first, until a run is healthy or there is nothing to try.

    A healthy run is not always a good one: what comes next in the list is tried too, as long as it is healthy as well
    and learns more. Where no remedy alone is enough, the search goes on from the best run so far, if it is better than
    the one before: at most DEEPEST remedies on top of each other.

    Args:
        config: of the run to be cured.
        ill: what was found in it.
        attempt: trains and judges.
        most: tries in all.
    """
    trials = [Trial(config=config, judged=ill, remedy=None, parent=None)]
    at = 0
    for _ in range(DEEPEST):
        first, winner = len(trials), None
        for remedy in _remedies(trials[at].judged.findings, trials):
            if len(trials) > most:
                break
            changed = with_overrides(trials[at].config, remedy.settings)
            trials.append(Trial(config=changed, judged=attempt(changed, remedy), remedy=remedy, parent=at))
            if _is_better(trials[-1].judged, ill if winner is None else trials[winner].judged):
                winner = len(trials) - 1
            elif winner is not None:
                break
        if winner is not None:
            return Cure(trials=tuple(trials), winner=winner)
        best = max(range(first, len(trials)), key=lambda i: _worth(trials[i].judged), default=at)
        if _worth(trials[best].judged) <= _worth(trials[at].judged):
            break
        at = best
    return Cure(trials=tuple(trials), winner=None)


def _remedies(findings: Sequence[Finding], tried: Sequence[Trial]) -> list[Remedy]:
    """Those of settings, of the worst finding first, each once."""
    known = {tuple(t.remedy.settings.items()) for t in tried if t.remedy}
    fresh: dict[tuple[tuple[str, str], ...], Remedy] = {}
    for finding in findings:
        if finding.severity is not Severity.NOTE:
            for remedy in finding.remedies:
                key = tuple(remedy.settings.items())
                if key and key not in known:
                    fresh.setdefault(key, remedy)
    return list(fresh.values())


def _is_better(judged: Judged, best: Judged) -> bool:
    """Healthy, and than a healthy one by a per cent of accuracy; than an ill one it may be no worse."""
    now, before = judged.val_accuracy or 0.0, best.val_accuracy or 0.0
    return judged.is_healthy and (round(now, 2) > round(before, 2) if best.is_healthy else now >= before)


def _worth(judged: Judged) -> tuple[float, int]:
    """To choose by: accuracy in steps of a per cent, then how little is wrong."""
    return round(judged.val_accuracy or 0.0, 2), -judged.worst


def tree(cure: Cure) -> str:
    """The path as text, a line a run, indented under the run that it came from."""
    return "\n".join(_branch(cure, 0, ""))


def _branch(cure: Cure, place: int, indent: str) -> list[str]:
    children = [i for i, t in enumerate(cure.trials) if t.parent == place]
    lines = [_line(cure, place)] if place == 0 else []
    for i in children:
        last = i == children[-1]
        lines.append(f"{indent}{'└─' if last else '├─'} {_line(cure, i)}")
        lines += _branch(cure, i, indent + ("   " if last else "│  "))
    return lines


def _line(cure: Cure, place: int) -> str:
    trial = cure.trials[place]
    judged = trial.judged
    told = [f.name.replace("_", " ") for f in judged.findings if f.severity is not Severity.NOTE]
    state = ", ".join(told) or ("healthy" if judged.ended_well else "failed")
    accuracy = "no accuracy" if judged.val_accuracy is None else f"validation {judged.val_accuracy:.1%}"
    what = "as it was" if trial.remedy is None else trial.remedy.title
    mark = "  <- healthy, take this" if place == cure.winner else ""
    return f"run {judged.run_id}, {what}: {state}, {accuracy}{mark}"
