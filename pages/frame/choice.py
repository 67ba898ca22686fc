"""The runs shown: chosen once in the sidebar, the same on every page."""

import html

import streamlit as st

from gradscope.figures.style import RunStyle, styles
from gradscope.records import Run, Status
from gradscope.store import Store, read
from pages.frame import address
from pages.frame.chips import chip

FIRST, MOST = 4, 10

ICONS = {
    Status.QUEUED: "◌",
    Status.RUNNING: "●",
    Status.STOPPING: "◐",
    Status.STOPPED: "■",
    Status.COMPLETED: "✓",
    Status.FAILED: "✕",
    Status.DIVERGED: "∞",
    Status.LOST: "?",
}
"""A sign for each status, always beside its word."""


def status_text(run: Run) -> str:
    """Icon and word."""
    return f"{ICONS[run.status]} {run.status.value}"


def text_of(run: Run) -> str:
    """How a run is named in a choice: its id, then its name."""
    return f"{run.id} {run.name}"


def sidebar(store: Store) -> None:
    """Draw the choice; newest runs first, ten at most."""
    runs = {run.id: run for run in read.runs(store)}
    _settle(runs)
    with st.sidebar:
        st.multiselect(
            f"Runs shown ({MOST} at most)",
            list(runs),
            key="runs",
            format_func=lambda i: text_of(runs[i]) if i in runs else str(i),
            max_selections=MOST,
            select_all=False,
            bind="query-params",
            placeholder="Choose runs" if runs else "No run yet",
            on_change=_touched,
        )
        if st.session_state.get("runs_absent"):
            st.caption("The runs of this address are not in this store (deleted, or of another one).")
        shown = [runs[i] for i in st.session_state["runs"] if i in runs]
        known = look(shown)
        if shown:
            st.html("".join(_line(run, known[run.id]) for run in shown))
            # no parameter of the widget colours its options one by one
            st.html(f"<style>{''.join(_coloured(run.id, known[run.id]) for run in shown)}</style>")


def _touched() -> None:
    st.session_state["runs_touched"] = True
    st.session_state["runs_absent"] = False


def _settle(runs: dict[int, Run]) -> None:
    """Keep what was chosen and still exists; at first what the address names, else the newest."""
    kept = [i for i in st.session_state.get("runs", []) if i in runs]
    if not kept and not st.session_state.get("runs_touched"):
        named = address.wanted("runs", list(runs), lambda i: text_of(runs[i]))
        kept = named[:MOST] or list(runs)[:FIRST]
        st.session_state.setdefault("runs_absent", bool(address.named("runs")) and not named)
        _write_out([text_of(runs[i]) for i in kept])
    st.session_state["runs"] = kept


def _write_out(texts: list[str]) -> None:
    """Put the first choice into the address as the widget would, before there is a widget that it belongs to."""
    if texts and st.query_params.get_all("runs") != texts and "runs_written" not in st.session_state:
        st.session_state["runs_written"] = True
        st.query_params["runs"] = texts
        st.rerun()


def _line(run: Run, style: RunStyle) -> str:
    name, status = html.escape(style.label), html.escape(status_text(run))
    return (
        f'<div data-testid="shown-{run.id}" style="display:flex;gap:.5em;align-items:center;font-size:.85em">'
        f'<img src="{chip(style)}" alt="" width="34" height="14">'
        f'<span style="flex:1;overflow:hidden;text-overflow:ellipsis;white-space:nowrap" title="{name}">{name}</span>'
        f'<span style="white-space:nowrap">{status}</span></div>'
    )


def _coloured(run_id: int, style: RunStyle) -> str:
    """The run's label in the choice in the run's colour: the label begins with its id."""
    colour = style.colour
    return (
        f'.st-key-runs [data-tag][aria-label^="{run_id} "] {{ color: inherit; border-left: 4px solid {colour}; '
        f"background: color-mix(in srgb, {colour} 20%, transparent); }}"
    )


def look(runs: list[Run]) -> dict[int, RunStyle]:
    """How each run is drawn."""
    return styles({run.id: run.name for run in sorted(runs, key=lambda r: r.id)})


def chosen(store: Store) -> list[Run]:
    """The runs shown, as they are now, by id; on a page without the frame what the address names, else the newest."""
    runs = {run.id: run for run in read.runs(store)}
    if "runs" not in st.session_state:
        _settle(runs)
    return [runs[i] for i in sorted(st.session_state["runs"]) if i in runs]


def show_only(ids: list[int]) -> None:
    """From a callback, before the sidebar is drawn: show these runs."""
    st.session_state["runs"] = ids[:MOST]
    _touched()


def any_run(store: Store) -> bool:
    """Whether the store holds a run at all."""
    return read.fingerprint(store)[0] > 0
