"""The `gradscope` command. Errors are one sentence on stderr; torch is imported by what trains, and by nothing else.

Exit codes: 0 done (of a training: completed), 1 the training failed, 2 it could not be done as asked, 3 the training
diverged, 4 the training was stopped, 130 interrupted.
"""

# in the order of `gradscope --help`
from gradscope.cli import demo, ui, train, reproduce, runs, doctor, cure  # isort: skip
from gradscope.cli import robustness, explain, exits, tasks, exchange, maintenance  # isort: skip
from gradscope.cli.app import main
from gradscope.cli.training import EXIT_CODES

__all__ = [
    "EXIT_CODES",
    "cure",
    "demo",
    "doctor",
    "exchange",
    "exits",
    "explain",
    "main",
    "maintenance",
    "reproduce",
    "robustness",
    "runs",
    "tasks",
    "train",
    "ui",
]
