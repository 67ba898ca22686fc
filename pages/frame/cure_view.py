"""Curing a run on the page Diagnosis: a button that starts it, how far it is, the tree, the winner's settings."""

import math

import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis.findings import Finding, Severity, diagnose
from gradscope.analysis.findings.remedies import settings_of
from gradscope.analysis.wording import plain, sentence
from gradscope.config import Curing
from gradscope.cured import Cured, Tried, in_depth, remedies_of
from gradscope.errors import RunNotFound, StoreDamaged
from gradscope.figures.cure_tree import CRITICAL_RUN, FAILED, HEALTHY_RUN, WARNED, cure_tree
from gradscope.jobs.command import command_line, cure_command
from gradscope.measured import Task
from gradscope.records import Run, Status
from gradscope.store import Store, read
from pages.frame import choice, command, show, source, tasks

KIND = "cure"


def of(store: Store, run: Run) -> list[Task]:
    """The run's cures, newest first."""
    return tasks.of(store, [run], KIND)


def offer(store: Store, run: Run, findings: list[Finding]) -> None:
    """A button that has all remedies tried; nothing where none of them is a setting."""
    config = settings_of(run.config) if run.source == "train" else None
    if config is None or not any(remedy.settings for finding in findings for remedy in finding.remedies):
        return
    with st.popover("Cure it", icon=":material/healing:", width="content"):
        st.markdown(
            "Trains the run with the remedies that fit, the likeliest first, each as a real run of the same seed, "
            "until one is healthy."
        )
        epochs = config.train.epochs
        length = st.number_input("Epochs of each try", 1, epochs, epochs, key="cure_epochs")
        most = st.number_input("Tries at most", 1, 100, Curing().most, key="cure_most")
        going = tasks.is_moving(of(store, run))
        command.button(
            "Start",
            lambda: _start(store, run, None if length == epochs else int(length), int(most)),
            icon=":material/play_arrow:",
            type="primary",
            disabled=store.read_only or going or not run.status.is_final,
            help=_why_not(run, going),
        )
        st.caption("The same in a terminal:")
        st.code(cure_command(run.id, store), language="bash", wrap_lines=True)


def _why_not(run: Run, going: bool) -> str | None:
    if going:
        return "It is being cured already."
    return None if run.status.is_final else "Stop the run, or wait until it has ended."


def _start(store: Store, run: Run, epochs: int | None, most: int) -> None:
    tasks.submit_all([run], lambda run_id: jobs.submit_task(store, run_id, Curing(epochs=epochs, most=most)))


def draw(store: Store, run: Run) -> None:
    """How far a cure is, and what the latest one has found."""
    tasks.panel(store, [run], of(store, run), "tries at most")
    try:
        cured = Cured.load(store.paths(run.id).cure)
    except StoreDamaged as error:
        st.warning(plain(sentence(error)), icon=":material/error:")
        return
    if cured is None:
        return
    show.chart(cure_tree(tree_of(store, cured)), "cure_tree", "the runs of the cure and what was found in each")
    if cured.winner is not None:
        _winner(store, run, cured, cured.winner)
    elif all(task.status is Status.COMPLETED for task in of(store, run)[:1]):
        st.caption("None of these is healthy. What is left in each stands beside it in the tree.")
    elif not tasks.is_moving(of(store, run)):
        st.caption("It was broken off before everything was tried. **Cure it** begins anew.")


def tree_of(store: Store, cured: Cured) -> pd.DataFrame:
    """The lines of the tree, as gradscope.figures.cure_tree.cure_tree takes them."""
    rows = [
        {
            "place": place,
            "parent": math.nan if cured.tried[place].parent is None else cured.tried[place].parent,
            "depth": depth,
            "wins": place == cured.winner,
            **_judged(store, cured.tried[place]),
        }
        for place, depth in in_depth(cured.tried)
    ]
    return pd.DataFrame(rows)


def _judged(store: Store, one: Tried) -> dict[str, object]:
    known: dict[str, object] = {"run": one.run_id, "remedy": one.remedy or "as it was"}
    try:
        run = read.run(store, one.run_id)
    except RunNotFound:
        return known | {"state": FAILED, "said": "deleted since", "accuracy": math.nan}
    told = [f for f in diagnose(source.tables(store, run)) if f.severity is not Severity.NOTE]
    if told:
        state = CRITICAL_RUN if any(f.severity is Severity.CRITICAL for f in told) else WARNED
        said = ", ".join(f.name.replace("_", " ") for f in told)
    elif run.status is Status.COMPLETED:
        state = said = HEALTHY_RUN
    else:
        state, said = FAILED, str(run.status)
    accuracy = run.results.val_accuracy
    return known | {"state": state, "said": said, "accuracy": math.nan if accuracy is None else accuracy}


def _winner(store: Store, run: Run, cured: Cured, place: int) -> None:
    try:
        winner = read.run(store, cured.tried[place].run_id)
    except RunNotFound:
        return
    config = settings_of(winner.config)
    if config is None or winner.id == run.id:
        return
    left, right = st.columns([4, 1], vertical_alignment="bottom")
    with left:
        st.markdown(
            f"**Healthy: run {winner.id}**, {plain(remedies_of(cured.tried, place))}. Its settings, ready to copy:"
        )
        st.code(command_line(config, f"{run.name}, cured", store), language="bash", wrap_lines=True)
    right.button(
        "Show both", icon=":material/compare:", on_click=choice.show_only, args=([winner.id, run.id],), key="cure_both"
    )
