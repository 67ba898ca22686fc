"""What a page or a command may do with tasks: whatever is computed on a run beside its training.

A task is a row of the table `tasks`: a kind, a run, settings. It waits in a queue of its own, is performed by a process
that `gradscope perform TASK` starts (`gradscope.tasks`), tells how far it is, and can be stopped.
"""

from typing import TYPE_CHECKING

from gradscope.errors import JobError
from gradscope.jobs import log
from gradscope.jobs.actions import ensure_supervisor
from gradscope.records import Run, Status
from gradscope.store import Store, read, read_tasks, write_tasks

if TYPE_CHECKING:  # every page imports this file, and only few need the settings classes
    from gradscope.config import TaskSettings


def submit_task(store: Store, run_id: int, settings: "TaskSettings") -> int:
    """Queue a task on a run; returns its id at once, or that of an unfinished one that computes the same.

    Raises:
        RunNotFound: there is no such run.
        JobError: the run has no checkpoint to work on, or no supervisor can be started here.
    """
    task_id = create_task(store, run_id, settings, status=Status.QUEUED)
    ensure_supervisor(store)
    return task_id


def create_task(store: Store, run_id: int, settings: "TaskSettings", *, status: Status) -> int:
    """Add a task on a run that somebody else performs; otherwise as `submit_task`."""
    run, values = read.run(store, run_id), settings.model_dump(mode="json")
    if settings.needs_network:
        _check_network(store, run, values["name"])
    return write_tasks.create(store, run_id, values["name"], values, status=status)


def _check_network(store: Store, run: Run, kind: str) -> None:
    if run.results.score == "map":
        raise JobError(
            f"run {run.id} ({run.name}) has pictures with several labels each, and task {kind} asks for the one "
            "right answer; choose a run on data with one label a picture"
        )
    if not store.paths(run.id).model.exists():
        raise JobError(
            f"run {run.id} ({run.name}) has no checkpoint to work on; train it with GradScope for at least one epoch"
        )


def stop_task(store: Store, task_id: int) -> Status:
    """Ask a task to stop; a queued one is stopped at once. Returns its status from now on.

    Raises:
        TaskNotFound, JobError: there is no such task, or it has ended.
    """
    status = write_tasks.request_stop(store, task_id)
    if status is Status.STOPPING:
        ensure_supervisor(store)  # it ends the process if that does not hear
    return status


def task_log_tail(store: Store, task_id: int, lines: int = 50) -> str:
    """The last lines that the task's process printed; empty if it printed nothing or has no log."""
    return log.tail(store.paths(read_tasks.task(store, task_id).run_id).task(task_id).log, lines)
