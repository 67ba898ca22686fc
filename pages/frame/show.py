"""How a page looks: its title and question, a figure with its key, an empty state, the live refresh."""

from collections.abc import Callable, Sequence
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any, NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis.wording import count, plain, sentence
from gradscope.errors import GradScopeError
from gradscope.records import Run
from gradscope.store import Store
from pages.frame import choice, command, downloads

RUNS = "pages/runs/1_Runs.py"
LAUNCH = "pages/runs/2_Launch.py"
DECAY = "pages/observe/1_Gradient_decay.py"
LAYERS = "pages/observe/2_Layers_over_time.py"
CURVES = "pages/observe/3_Learning_curves.py"
WHAT_IF = "pages/compare/2_What_if.py"


def header(title: str, question: str | None) -> None:
    """The page's name and the one question that it answers."""
    command.carry_out()  # of a page that is opened without its frame, as tests do
    downloads.begin()
    st.title(title, anchor=False)
    st.caption((question or "").strip().splitlines()[0])


def go(page: str, **choices: str) -> NoReturn:
    """Open another page with choices of its own; the runs shown come along by themselves.

    Without any mapping Streamlit would clear the address, and refuse to because choices are bound to it.
    """
    st.switch_page(page, query_params=choices)


def zone() -> ZoneInfo:
    """The time zone of whoever looks; UTC where the browser does not say."""
    try:
        return ZoneInfo(st.context.timezone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return ZoneInfo("UTC")


def moment(when: datetime) -> tuple[str, str]:
    """A moment in the time zone of whoever looks, and in UTC for whoever points at it."""
    form = "%-d %b %Y, %H:%M"
    return f"{when.astimezone(zone()):{form}}", f"{when.astimezone(UTC):{form}} UTC"


def nothing(message: str, page: str, label: str, **choices: str) -> NoReturn:
    """An empty state: what would be here, and a button to what brings it, a page and its choices. Nothing follows."""
    st.info(message, icon=":material/info:")
    if st.button(label, type="primary", key=f"next-{label}"):
        go(page, **choices)
    st.stop()


def no_run_yet(store: Store, what: str, **choices: str) -> NoReturn:
    """The empty state of a store without runs: what would be here, and two ways to it. Nothing follows.

    Args:
        store: the empty one.
        what: would be here.
        choices: of the page Launch, such as the preset whose runs have what this page shows.
    """
    st.info(f"No run yet. As soon as one trains, its {what} will be here.", icon=":material/info:")
    with st.container(horizontal=True):
        st.button(
            "Train five small ones, about a minute",
            type="primary",
            key="train_demo",
            on_click=_train_demo,
            args=(store,),
            disabled=store.read_only,
        )
        launch = st.button("Launch a run", key="launch_one")
    if refusal := st.session_state.pop("refusal", None):
        st.error(plain(refusal), icon=":material/error:")
    st.caption("Or record your own training: two lines, `run = gradscope.init(...)` and `run.watch(model, optimizer)`.")
    if launch:
        go(LAUNCH, **choices)
    if st.session_state.pop("demo_started", False):
        go(RUNS)
    st.stop()


def _train_demo(store: Store) -> None:
    from gradscope.demo import DEMO_TAG, demo_runs  # brings the settings classes, which no page needs to open

    try:
        ids = [jobs.submit(store, config, name, [DEMO_TAG]) for name, config in demo_runs()]
    except GradScopeError as error:
        st.session_state["refusal"] = sentence(error)
        return
    choice.show_only(ids)
    st.session_state["demo_started"] = True


def runs_or_next_step(store: Store, what: str, **choices: str) -> list[Run]:
    """The runs shown; where there are none, the next step: see `no_run_yet`."""
    runs = choice.chosen(store)
    if runs:
        return runs
    if choice.any_run(store):
        nothing(f"No run is chosen, so there is no {what} to show. Choose runs at the left.", RUNS, "See all runs")
    no_run_yet(store, what, **choices)


def chart(figure: downloads.Drawn, key: str, alternative: str, on_select: Callable[[], None] | None = None) -> None:
    """A figure that stays the same element when its data change; on_select makes its `pick` call back."""
    more: dict[str, Any] = {"on_select": on_select, "selection_mode": "pick"} if on_select else {}
    st.altair_chart(figure, width="stretch", key=key, alt=alternative, **more)
    downloads.note(key, lambda: figure)


def quick_chart(
    figure: Callable[[pd.DataFrame], downloads.Drawn],
    data: pd.DataFrame,
    key: str,
    alternative: str,
    on_select: Callable[[], None] | None = None,
) -> None:
    """A figure that draws one table and differs in nothing else: Altair, which takes 50 ms for it, is asked once."""
    more: dict[str, Any] = {"on_select": on_select, "selection_mode": "pick"} if on_select else {}
    st.vega_lite_chart(data, deepcopy(_frame_of(key, figure, data)), width="stretch", key=key, alt=alternative, **more)
    downloads.note(key, lambda: figure(data))


@st.cache_resource(show_spinner=False, max_entries=64)
def _frame_of(key: str, _figure: Callable[[pd.DataFrame], downloads.Drawn], _data: pd.DataFrame) -> dict[str, Any]:
    """What Vega-Lite is told, without the table."""
    told = _figure(_data).to_dict()
    del told["datasets"]
    for part in (told, *told.get("layer", [])):
        part.pop("data", None)
    return told


def picked(key: str) -> dict[str, Any]:  # Any: the fields of the selection
    """The point or cell last clicked in the figure of that key; empty if there is none."""
    state = st.session_state.get(key)
    points = state["selection"].get("pick", []) if state else []
    return dict(points[0]) if points else {}


def how_to_read(text: str, data: pd.DataFrame, file: str) -> None:
    """Three sentences under the figures, and pictures and numbers to take away."""
    words, files = st.columns([5, 1], vertical_alignment="top")
    with words, st.expander("How to read this", icon=":material/help:"):
        st.markdown(text)
    with files:
        downloads.offer(data, file)


def live_badge(runs: Sequence[Run]) -> None:
    """Says whether what is shown still moves."""
    going = [r for r in runs if r.status.is_alive]
    waiting = [r for r in runs if not r.status.is_final and not r.status.is_alive]
    if going:
        step = max(r.progress.last_step for r in going)
        where = "before its first step" if step < 0 else f"step {count(step)}"
        st.badge(f"live, {where}", icon=":material/sensors:", color="green")
    elif waiting:
        st.badge("waiting to start", icon=":material/hourglass_empty:", color="orange")


def live(store: Store, draw: Callable[[list[Run]], None], every: float = 1.0, moving: bool = False) -> None:
    """Draw the runs shown, and again every so many seconds as long as one of them is unfinished, or the page moves."""
    runs = choice.chosen(store)
    before = {run.id: run.status for run in runs}

    def tick() -> None:
        jobs.reap(store)
        fresh = choice.chosen(store)
        draw(fresh)
        if {run.id: run.status for run in fresh} != before:
            st.rerun()

    unfinished = any(not run.status.is_final for run in runs)
    st.fragment(tick, run_every=every if unfinished or moving else None)()
