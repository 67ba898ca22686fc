"""Curing a run: the task `cure`, which queues runs and waits for them."""

from gradscope.config import Curing, RunConfig
from gradscope.cure import cure, queued
from gradscope.measured import Task
from gradscope.store import Store
from gradscope.tasks.report import Report


def cure_run(store: Store, task: Task, report: Report) -> None:
    """Try the remedies that fit the run's findings; progress counts tries, of which a healthy run saves the rest.

    Raises:
        JobError: the run goes on, was trained by a loop of its own, or a try was stopped by somebody.
    """
    settings = Curing.model_validate(task.settings)
    done = 0

    def trained(store: Store, config: RunConfig, name: str, tag: str) -> int:
        nonlocal done
        run_id = queued(store, config, name, tag, lambda: report(done, settings.most, name))
        done += 1
        return run_id

    report(done, settings.most, "reading the findings")
    cure(store, task.run_id, epochs=settings.epochs, most=settings.most, train=trained)
