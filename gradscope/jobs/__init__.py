"""Jobs: runs queued, started, stopped, resumed and deleted, each in a process of its own. No torch here.

What every page needs is here; who serves the queue imports `gradscope.jobs.supervisor`, who wants a config as a command
`gradscope.jobs.command`.
"""

from gradscope.jobs.actions import create, delete, ensure_supervisor, log_tail, reap, resume, stop, submit

__all__ = [
    "create",
    "delete",
    "ensure_supervisor",
    "log_tail",
    "reap",
    "resume",
    "stop",
    "submit",
]
