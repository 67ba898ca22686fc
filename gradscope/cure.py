"""Curing a run of a store: real short runs with the remedies that fit its findings, until one is healthy."""

import time
from collections.abc import Callable
from contextlib import suppress

from gradscope import jobs
from gradscope.analysis.cure import Cure, Judged, search
from gradscope.analysis.findings import Remedy, diagnose
from gradscope.analysis.findings.learning import learned_share
from gradscope.analysis.findings.remedies import settings_of
from gradscope.config import RunConfig
from gradscope.cured import Cured, Tried
from gradscope.diagnosis import tables_of
from gradscope.errors import JobError, RunNotFound
from gradscope.overrides import with_overrides
from gradscope.records import Run, Status
from gradscope.store import Store, read

POLL_SECONDS = 0.2
"""Between two looks at a run that another process trains, of which only the store tells."""

Trainer = Callable[[Store, RunConfig, str, str], int]
"""Trains a config under a name, with a tag, to its end; the run's number."""


def _nothing() -> None:
    """What a command does while it waits."""


def cure(
    store: Store,
    run_id: int,
    *,
    epochs: int | None = None,
    most: int = 12,
    train: Trainer | None = None,
    on_trial: Callable[[str], None] | None = None,
) -> Cure:
    """Try remedies against the findings of a run, each as a run of the same settings and seed.

    How far it is stands in the run's folder, where the page Diagnosis finds it.

    Args:
        store: of the run; the new ones are added to it, with a tag that says whose cure they are.
        run_id: the run, trained by GradScope.
        epochs: of each run; as many as the run has by default. With fewer, the run itself is trained anew first, so
            that like is compared with like.
        most: runs in all.
        train: how a run is trained; by default it is queued and waited for.
        on_trial: told what is tried next, in a sentence.

    Raises:
        RunNotFound: there is no such run.
        JobError: the run goes on, or was trained by a loop of somebody's own.
    """
    run = read.run(store, run_id)
    config = _config(run)
    length = min(epochs or config.train.epochs, config.train.epochs)
    quiet = {"alerts.stop": "never", "alerts.hook": None}
    short = with_overrides(config, {"train.epochs": length, "schedule.tail_epochs": _tail(config, length), **quiet})
    trainer, tell, tag = train or queued, on_trial or (lambda _: None), f"cure of {run_id}"

    def attempt(changed: RunConfig, remedy: Remedy) -> Judged:
        tell(remedy.title)
        return judge(store, trainer(store, changed, f"{run.name}, {remedy.title}", tag))

    if length < config.train.epochs:
        tell(f"the run itself, {length} epochs long")
        first = judge(store, trainer(store, short, f"{run.name}, {length} epochs", tag))
    else:
        first = judge(store, run_id)
    return search(short, first, attempt, most, lambda path: _kept(path).save(store.paths(run_id).cure))


def _kept(path: Cure) -> Cured:
    tried = (
        Tried(run_id=t.judged.run_id, remedy=t.remedy.title if t.remedy else None, parent=t.parent) for t in path.trials
    )
    return Cured(tried=tuple(tried), winner=path.winner)


def _config(run: Run) -> RunConfig:
    if not run.status.is_final:
        raise JobError(f"run {run.id} is {run.status}; stop it, or wait until it has ended")
    config = settings_of(run.config) if run.source == "train" else None
    if config is None:
        raise JobError(
            f"run {run.id} was trained by a loop of its own, which cannot be started from here; "
            f"`gradscope doctor {run.id}` says what may help"
        )
    return config


def _tail(config: RunConfig, epochs: int) -> int:
    """The same share of a shorter training."""
    return config.schedule.tail_epochs * epochs // config.train.epochs


def judge(store: Store, run_id: int) -> Judged:
    """What came of a run that has ended."""
    run = read.run(store, run_id)
    tables = tables_of(store, run)
    return Judged(
        run_id=run_id,
        findings=tuple(diagnose(tables)),
        val_accuracy=run.results.val_accuracy,
        learned=learned_share(tables),
        ended_well=run.status is Status.COMPLETED,
    )


def queued(store: Store, config: RunConfig, name: str, tag: str, waiting: Callable[[], None] = _nothing) -> int:
    """Queue a run and wait for its end; whatever ends the waiting stops it.

    Args:
        store: of the run.
        config: what to train.
        name: of the run.
        tag: of the run.
        waiting: called again and again until then.

    Raises:
        JobError: it was stopped, or its process is gone.
    """
    run_id = jobs.submit(store, config, name, [tag])
    try:
        while not (status := read.run(store, run_id).status).is_final:
            waiting()
            jobs.reap(store)
            time.sleep(POLL_SECONDS)
    except BaseException:
        with suppress(JobError, RunNotFound):  # it has just ended, or was deleted
            jobs.stop(store, run_id)
        raise
    if status in (Status.STOPPED, Status.LOST):
        raise JobError(f"run {run_id} was {status}, so the search for a cure ends here")
    return run_id
