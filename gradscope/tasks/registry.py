"""Which function performs which kind of task."""

from collections.abc import Callable, Mapping

from gradscope.measured import Task
from gradscope.store import Store
from gradscope.tasks.agreement import measure_agreement
from gradscope.tasks.cure import cure_run
from gradscope.tasks.exits import measure_exits
from gradscope.tasks.report import Report
from gradscope.tasks.robustness import measure_robustness

Performer = Callable[[Store, Task, Report], None]
"""Computes a task's parts, reports each, and writes what it finds into the store."""


def _explain(store: Store, task: Task, report: Report) -> None:
    from gradscope.tasks.explain import explain  # captum takes half a second to import, and no other task needs it

    explain(store, task, report)


PERFORMERS: Mapping[str, Performer] = {
    "agreement": measure_agreement,
    "cure": cure_run,
    "exits": measure_exits,
    "explain": _explain,
    "robustness": measure_robustness,
}
