"""Performing a task of the store to its end."""

import os
import socket
from collections.abc import Mapping

from gradscope.errors import ConfigError
from gradscope.process import cause_of, stopped_by_signals
from gradscope.records import Status
from gradscope.store import Store, read_tasks, write_tasks
from gradscope.tasks.registry import PERFORMERS, Performer
from gradscope.tasks.report import OnProgress, Stopped, TaskProgress, reporting


def _unseen(_: TaskProgress) -> None:
    """A progress that nobody watches."""


def perform(
    store: Store,
    task_id: int,
    *,
    on_progress: OnProgress = _unseen,
    performers: Mapping[str, Performer] = PERFORMERS,
) -> Status:
    """Perform a task in this process.

    Returns:
        completed, or stopped (somebody asked, deleted it, or SIGTERM or SIGINT came); what was computed is kept.

    Raises:
        TaskNotFound: there is no such task.
        Exception: whatever went wrong, after the task was marked as failed with the cause.
    """
    task = read_tasks.task(store, task_id)
    write_tasks.start(store, task_id, host=socket.gethostname(), pid=os.getpid())
    try:
        if task.kind not in performers:
            raise ConfigError(f"task kind {task.kind!r} is unknown; this GradScope performs {', '.join(performers)}")
        with reporting(store, task_id, on_progress) as report, stopped_by_signals(report.request_stop):
            performers[task.kind](store, task, report)
        status = Status.COMPLETED
    except Stopped:
        status = Status.STOPPED
    except KeyboardInterrupt:
        write_tasks.finish(store, task_id, Status.STOPPED)
        raise
    except BaseException as error:
        write_tasks.finish(store, task_id, Status.FAILED, error=cause_of(error))
        raise
    write_tasks.finish(store, task_id, status)
    return status
