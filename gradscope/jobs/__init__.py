"""Jobs: runs and tasks on runs, queued, started, stopped, each in a process of its own. No torch here.

What every page needs is here; who serves the queues imports `gradscope.jobs.supervisor`, who wants a config as a
command `gradscope.jobs.command`.
"""

from gradscope.jobs.actions import (
    create,
    delete,
    ensure_supervisor,
    known_teacher,
    log_tail,
    reap,
    resume,
    stop,
    submit,
)
from gradscope.jobs.tasks import create_task, stop_task, submit_task, task_log_tail

__all__ = [
    "create",
    "create_task",
    "delete",
    "ensure_supervisor",
    "known_teacher",
    "log_tail",
    "reap",
    "resume",
    "stop",
    "stop_task",
    "submit",
    "submit_task",
    "task_log_tail",
]
