"""What is computed on runs beside their training, as pages show it: how far, the time left, a button to stop it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import streamlit as st

from gradscope import jobs
from gradscope.analysis.life import task_seconds_left
from gradscope.analysis.wording import count, duration, plain, sentence
from gradscope.errors import GradScopeError
from gradscope.measured import Task
from gradscope.records import Run, Status
from gradscope.store import Store, read_tasks
from pages.frame import choice

Submit = Callable[[int], object]
"""Queues a task on the run of that number."""


def of(store: Store, runs: Sequence[Run], kind: str) -> list[Task]:
    """The tasks of a kind on these runs, newest first."""
    return read_tasks.tasks(store, [run.id for run in runs], kind)


def is_moving(tasks: Sequence[Task]) -> bool:
    """Whether one of them is still to end."""
    return any(not task.status.is_final for task in tasks)


def has_network(store: Store, run: Run) -> bool:
    """Whether a run has a checkpoint that can be worked on."""
    return run.source == "train" and store.paths(run.id).model.exists()


def submit_all(runs: Sequence[Run], submit: Submit) -> None:
    """Queue a task on each run; a refusal waits for `panel` to be shown."""
    try:
        for run in runs:
            submit(run.id)
    except GradScopeError as error:
        st.session_state["refusal"] = sentence(error)


def panel(store: Store, runs: Sequence[Run], tasks: Sequence[Task], noun: str) -> None:
    """A line for each task under way, and the cause where a run's latest one failed.

    Args:
        store: where they are.
        runs: those the page shows.
        tasks: theirs, newest first.
        noun: what the parts are that a task counts, such as "pictures".
    """
    if refusal := st.session_state.pop("refusal", None):
        st.error(plain(refusal), icon=":material/error:")
    names = {run.id: choice.text_of(run) for run in runs}
    for task in sorted(tasks, key=lambda task: task.id):
        if not task.status.is_final:
            _line(store, task, names[task.run_id], noun)
    for run_id, name in names.items():
        latest = next((task for task in tasks if task.run_id == run_id), None)
        if latest and latest.error and latest.status in {Status.FAILED, Status.LOST}:
            log = store.paths(run_id).task(latest.id).log
            where = f" Its log: {log}" if log.exists() else ""
            st.warning(plain(f"{name}: {latest.error}.{where}"), icon=":material/error:")


def _line(store: Store, task: Task, name: str, noun: str) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        share = task.done / task.total if task.total else 0.0
        st.progress(min(1.0, share), text=plain(f"{name}: {_words(task, noun)}"))
        st.button(
            "Cancel",
            key=f"cancel-{task.id}",
            disabled=task.status is Status.STOPPING or store.read_only,
            on_click=_stop,
            args=(store, task.id),
        )


def _words(task: Task, noun: str) -> str:
    if not task.status.is_alive:
        return "waits for its turn"
    if task.status is Status.STOPPING:
        return "stops"
    if task.total is None:
        return task.phase or "starting"
    left = task_seconds_left(task, datetime.now(UTC))
    so_far = f"{count(task.done)} of {count(task.total)} {noun}"
    return so_far if left is None else f"{so_far}, {duration(left)} left"


def _stop(store: Store, task_id: int) -> None:
    try:
        jobs.stop_task(store, task_id)
    except GradScopeError as error:  # it ended while the button was pressed
        st.session_state["refusal"] = sentence(error)
