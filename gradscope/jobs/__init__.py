"""Jobs: runs queued, started, stopped, resumed and deleted, each in a process of its own. No torch here."""

from gradscope.jobs.actions import create, delete, ensure_supervisor, log_tail, reap, resume, stop, submit
from gradscope.jobs.command import command_line
from gradscope.jobs.slots import find_slots
from gradscope.jobs.supervisor import supervise

__all__ = [
    "command_line",
    "create",
    "delete",
    "ensure_supervisor",
    "find_slots",
    "log_tail",
    "reap",
    "resume",
    "stop",
    "submit",
    "supervise",
]
