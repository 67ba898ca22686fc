"""For Optuna: `create_study(pruner=DoctorPruner())` ends a trial that will not learn, whatever its score so far."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gradscope.analysis.findings import Finding, Severity, Thresholds
from gradscope.diagnosis import diagnose_run
from gradscope.errors import RecorderError
from gradscope.integrations.recording import ending
from gradscope.recorder.current import init
from gradscope.recorder.session import Session
from gradscope.records import Status

try:
    from optuna import Study, Trial, TrialPruned
    from optuna.pruners import BasePruner, NopPruner
    from optuna.trial import FrozenTrial
except ImportError as missing:
    raise ImportError("DoctorPruner needs Optuna; install it by `pip install optuna`") from missing

FLUSH_SECONDS = 5.0
RUN_ATTRIBUTE = "gradscope_run"
"""Of a trial: the number of its run in the store."""


@dataclass(kw_only=True, eq=False)
class DoctorPruner(BasePruner):
    """Ends a trial because of what is found in its gradients, and need not compare it with others.

    A pruner that compares scores has to wait until there are trials to compare with, and until a score means
    something. What the diagnosis calls critical (a gradient that vanishes, a network that does not move, a value that
    is not finite) is often there after the first steps of the first trial.

        pruner = DoctorPruner(also=MedianPruner())

        def objective(trial):
            with pruner.recorded(trial, total_steps=epochs * len(loader)) as run:
                run.watch(model, optimizer, log="all")
                for epoch in range(epochs):
                    ...
                    trial.report(accuracy, epoch)
                    if trial.should_prune():
                        raise TrialPruned
            return accuracy

        create_study(direction="maximize", pruner=pruner).optimize(objective, n_trials=100)
    """

    also: BasePruner = field(default_factory=NopPruner)
    """Another pruner, asked first: the trial ends if either wants it to."""
    severity: Severity = Severity.CRITICAL
    """From which on a finding ends the trial."""
    patience: int = 2
    """Reports in a row at which the finding must be there."""
    limits: Thresholds | None = None
    """Where findings begin; as everywhere by default."""
    store: str | os.PathLike[str] | None = None
    """Path or URL; `GRADSCOPE_STORE`, else `runs.db`, by default."""
    _runs: dict[int, Session] = field(default_factory=dict, init=False, repr=False)
    _seen: dict[int, Counter[str]] = field(default_factory=dict, init=False, repr=False)
    _why: dict[int, str] = field(default_factory=dict, init=False, repr=False)

    @contextmanager
    def recorded(self, trial: Trial, *, total_steps: int | None = None, name: str | None = None) -> Iterator[Session]:
        """A run of the trial's own, with its parameters as config and the study as a tag.

        Args:
            trial: in progress.
            total_steps: optimiser steps that it is to have; without them nobody can tell slow from early.
            name: of the run; the study's name and the trial's number by default.
        """
        study, number = trial.study.study_name, trial.number
        run = init(name or f"{study} {number}", trial.params, self.store, tags=[study])
        run.progress(total_steps=total_steps)
        trial.set_user_attr(RUN_ATTRIBUTE, run.id)
        self._runs[number], self._seen[number] = run, Counter()
        try:
            yield run
        except TrialPruned:
            run.finish(Status.STOPPED, error=self._why.pop(number, None))
            raise
        except BaseException as error:
            status, cause = ending(error)
            run.finish(status, error=cause)
            raise
        else:
            run.finish()
        finally:
            del self._runs[number], self._seen[number]

    def reason(self, number: int) -> str | None:
        """The finding for which the trial of that number, in progress, is to end; None if there is none."""
        return self._why.get(number)

    def prune(self, study: Study, trial: FrozenTrial) -> bool:
        """Whether the trial should end; Optuna asks this in `trial.should_prune()`.

        Raises:
            RecorderError: the trial has no run of its own.
        """
        run = self._runs.get(trial.number)
        if run is None:
            raise RecorderError(
                f"trial {trial.number} is not recorded; train it inside `with pruner.recorded(trial) as run:`"
            )
        if self.also.prune(study, trial):
            return True
        finding = self._held(run, self._seen[trial.number])
        if finding is not None:
            self._why[trial.number] = f"ended by the pruner: {finding.text}"
        return finding is not None

    def _held(self, run: Session, seen: Counter[str]) -> Finding | None:
        """The worst of those that were there at enough reports in a row."""
        if run.store is None:
            return None
        run.flush(FLUSH_SECONDS)
        found = diagnose_run(run.store, run.id, self.limits)
        bad = {f.name: f for f in found if f.until is None and f.severity.rank >= self.severity.rank}
        before = dict(seen)
        seen.clear()
        seen.update({name: before.get(name, 0) + 1 for name in bad})
        return next((finding for name, finding in bad.items() if seen[name] >= self.patience), None)
