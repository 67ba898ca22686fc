"""The search for a cure: which remedy to try next, and when to stop. What a try is, is handed in."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradscope.analysis.findings import Finding, Remedy, Severity, is_healthy
from gradscope.analysis.findings.remedies import usual_remedies
from gradscope.config import RunConfig
from gradscope.overrides import with_overrides

DEEPEST = 3
"""Remedies on top of each other."""

HARDLY = 0.02
"""Accuracy that a healthy run may lack of an ill one, which has it by chance or at a risk."""

ENOUGH = 0.75
"""Share of what there is to learn of the training pictures from which on a healthy run is left as it is."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What came of a training."""

    run_id: int
    findings: tuple[Finding, ...]
    val_accuracy: float | None
    """0..1; None where there is none, as of a run that diverged."""
    learned: float | None = None
    """By which share the training loss has come down from that of a network that knows nothing; None if unknown."""
    ended_well: bool = True
    """Whether it went on to its end; a remedy that a network cannot take makes a run that fails."""

    @property
    def is_healthy(self) -> bool:
        """Whether it came to its end and nothing but notes is found."""
        return self.ended_well and is_healthy(list(self.findings))

    @property
    def has_more_to_learn(self) -> bool:
        """Whether it is known to have learned less than ENOUGH."""
        return self.learned is not None and self.learned < ENOUGH

    @property
    def worst(self) -> Finding | None:
        """What it is treated for first."""
        return next((f for f in self.findings if f.severity is not Severity.NOTE), None)


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


Seen = Callable[[Cure], None]
"""Told the path after each trial."""

Try = Callable[[RunConfig, Remedy], Judged]
"""Trains a config, which is that of a trial with a remedy added, and judges it."""


def _unseen(_: Cure) -> None:
    """A path that nobody follows."""


def search(config: RunConfig, ill: Judged, attempt: Try, most: int = 12, seen: Seen = _unseen) -> Cure:
    """Try the remedies against the findings of a run, best first, until a run is healthy or there is nothing to try.

    A healthy run is not always a good one: what comes next in the list is tried too, as long as it is healthy as well
    and learns more. Where no remedy alone is enough, the search goes on from the best run in which something got
    better: at most DEEPEST remedies on top of each other. A healthy run that has learned less than ENOUGH of its
    training pictures is then given what usually helps, step by step.

    Args:
        config: of the run to be cured.
        ill: what was found in it; where that is nothing, only what usually helps is tried.
        attempt: trains and judges.
        most: tries in all.
        seen: told the path after each of them, and once before.
    """
    path = _Path(config, ill, attempt, most, seen)
    at: int | None = 0
    for _ in range(DEEPEST):
        if at is None or path.trials[at].judged.is_healthy:
            break
        path.treat(at)
        at = path.winner if path.winner is not None else path.next(at)
    if path.best.judged.is_healthy:
        path.improve()
    return path.so_far


class _Path:
    """The trials of a search while it goes on."""

    def __init__(self, config: RunConfig, ill: Judged, attempt: Try, most: int, seen: Seen) -> None:
        self.trials = [Trial(config=config, judged=ill, remedy=None, parent=None)]
        self.winner: int | None = None
        self.attempt, self.most, self.seen = attempt, most, seen
        seen(self.so_far)

    @property
    def so_far(self) -> Cure:
        """What was tried."""
        return Cure(trials=tuple(self.trials), winner=self.winner)

    @property
    def best(self) -> Trial:
        """The winner; as long as there is none, the run to be cured."""
        return self.trials[self.winner or 0]

    def treat(self, at: int) -> None:
        """Try the remedies against the findings of a trial, until one is healthy and the next does not beat it."""
        for remedy in _remedies(self.trials[at].judged.findings):
            won = self.winner
            was_tried = self._try(at, remedy)
            if was_tried and won is not None and self.winner == won:
                break

    def improve(self) -> None:
        """Try what usually helps on the best run, from each that is healthy and learns more on."""
        for choose in usual_remedies():
            at = self.winner or 0
            if not self.best.judged.has_more_to_learn:
                break
            for remedy in choose(self.best.config):
                self._try(at, remedy)

    def next(self, at: int) -> int | None:
        """The best of those that a trial's remedies led to and that are better than it; None if none is.

        Where none learns more, those count that no longer have what they were treated for.
        """
        before = self.trials[at]
        children = [i for i, t in enumerate(self.trials) if t.parent == at]
        better = [i for i in children if _is_progress(self.trials[i], before)]
        other = [i for i in children if _is_rid_of_it(self.trials[i].judged, before) and self.trials[i].judged.worst]
        return max(better or other, key=lambda i: _worth(self.trials[i], before), default=None)

    def _try(self, at: int, remedy: Remedy) -> bool:
        """Train a trial's settings with a remedy, unless that was tried before or enough was; whether it was done."""
        changed = with_overrides(self.trials[at].config, remedy.settings)
        if len(self.trials) > self.most or any(t.config == changed for t in self.trials):
            return False
        self.trials.append(Trial(config=changed, judged=self.attempt(changed, remedy), remedy=remedy, parent=at))
        if _is_better(self.trials[-1].judged, self.best.judged):
            self.winner = len(self.trials) - 1
        self.seen(self.so_far)
        return True


def _remedies(findings: Sequence[Finding]) -> list[Remedy]:
    """Those of settings, of the worst finding first."""
    told = [f for f in findings if f.severity is not Severity.NOTE]
    return [remedy for finding in told for remedy in finding.remedies if remedy.settings]


def _is_better(judged: Judged, best: Judged) -> bool:
    """Healthy, and than a healthy one by a per cent of accuracy; than an ill one it is hardly worse."""
    now, before = judged.val_accuracy or 0.0, best.val_accuracy or 0.0
    return judged.is_healthy and (round(now, 2) > round(before, 2) if best.is_healthy else now > before - HARDLY)


def _is_progress(trial: Trial, before: Trial) -> bool:
    """Whether it learns more, or no longer has what it was treated for and so shows what is behind it."""
    return _worth(trial, before) > _worth(before, before)


def _worth(trial: Trial, before: Trial) -> tuple[int, bool, int]:
    """To choose by: accuracy in steps of five per cent, whether the worst finding is gone, how little else is wrong."""
    judged = trial.judged
    rank = max((f.severity.rank for f in judged.findings), default=-1)
    return round(20 * (judged.val_accuracy or 0.0)), _is_rid_of_it(judged, before), -rank


def _is_rid_of_it(judged: Judged, before: Trial) -> bool:
    """Whether it no longer has, but as a note, what the trial before was treated for."""
    treated = before.judged.worst
    told = {f.name for f in judged.findings if f.severity is not Severity.NOTE}
    return judged.ended_well and treated is not None and treated.name not in told


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
