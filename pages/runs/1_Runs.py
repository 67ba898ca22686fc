"""What has been trained, and what is training now?"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis import decay
from gradscope.analysis.life import seconds_left, seconds_taken, share_done
from gradscope.analysis.settings import flatten
from gradscope.analysis.wording import UNKNOWN, count, duration, percent, significant
from gradscope.figures.style import RunStyle
from gradscope.records import Kind, Run, Status
from gradscope.store import Store, read, sqlite_version
from pages.frame import choice, run_actions, show, source
from pages.frame.chips import chip

GROUPS = ["nothing", "model", "data", "preset", "optimizer", "methods", "status"]


def filters(runs: Sequence[Run]) -> tuple[list[Run], str]:
    """The row above the table: the runs that pass, and what to group by."""
    tags = sorted({tag for run in runs for tag in run.tags})
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Find", key="q", bind="query-params", placeholder="Name, note or setting", label_visibility="collapsed"
        )
        statuses = st.multiselect(
            "Status",
            [s.value for s in Status],
            key="status",
            bind="query-params",
            placeholder="Any status",
            label_visibility="collapsed",
        )
        wanted = st.multiselect(
            "Tags", tags, key="tag", bind="query-params", placeholder="Any tag", label_visibility="collapsed"
        )
        group = st.selectbox(
            "Group by",
            GROUPS,
            key="group",
            bind="query-params",
            format_func=lambda g: f"Group by {g}",
            label_visibility="collapsed",
        )
    kept = [r for r in runs if (not statuses or r.status in statuses) and set(wanted or []) <= set(r.tags)]
    return [r for r in kept if (text or "").lower() in _searchable(r)], group


def _searchable(run: Run) -> str:
    settings = " ".join(f"{k}={v}" for k, v in flatten(run.config).items())
    return f"{run.id} {run.name} {run.note} {' '.join(run.tags)} {settings}".lower()


def table(store: Store, runs: Sequence[Run], looks: dict[int, RunStyle]) -> pd.DataFrame:
    """A row a run, oldest first: a new run then changes no other row's place."""
    now = datetime.now(UTC)
    losses = source.metrics(store, runs, ("train_loss", "loss"), 40)
    gradients = source.profile(store, runs, Kind.GRADIENT)
    rows = []
    for run in runs:
        loss = losses.loc[losses["run"] == run.id, "value"].dropna().round(4).tolist()
        worst = decay.worst_layer(gradients[gradients["run"] == run.id])
        settings = flatten(run.config)
        rows.append(
            {
                "": chip(looks[run.id]),
                "run": choice.text_of(run),
                "status": choice.status_text(run),
                "done": None if (share := share_done(run)) is None else 100 * share,
                "left": duration(left) if (left := seconds_left(run, now)) is not None else run.progress.phase or "",
                "preset": settings.get("preset", UNKNOWN),
                "data": settings.get("data", UNKNOWN),
                "best": percent(run.results.best_val_accuracy),
                "last": percent(run.results.val_accuracy),
                "loss": loss,
                "worst layer": f"{worst[0]}, {significant(worst[1])} of the median" if worst else UNKNOWN,
                "images/s": run.progress.samples_per_second,
                "started": run.started,
                "took": duration(seconds_taken(run, now)),
                "tags": list(run.tags),
            }
        )
    return pd.DataFrame(rows)


def columns() -> dict[str, object]:
    """How the columns are shown."""
    column = st.column_config
    return {
        "": column.ImageColumn(width=46, pinned=True),
        "run": column.TextColumn(width=150, pinned=True),
        "status": column.TextColumn(width=95),
        "done": column.ProgressColumn(min_value=0, max_value=100, format="%.0f %%", width=95),
        "left": column.TextColumn("time left", width=95),
        "best": column.TextColumn("best val.", width=72, help="Best validation accuracy"),
        "last": column.TextColumn("last val.", width=72, help="Validation accuracy of the last epoch"),
        "loss": column.LineChartColumn(width=100, help="Training loss"),
        "worst layer": column.TextColumn(
            help="The layer with the lowest gradient RMS, and that over the layers' median"
        ),
        "images/s": column.NumberColumn(format="%.0f", width=80),
        "started": column.DatetimeColumn(format="localized", width=150, help="In your time zone"),
        "took": column.TextColumn(width=90),
        "tags": column.ListColumn(width=90),
    }


def remember(key: str, ids: list[int]) -> None:
    """Positions in the table as it was drawn, turned into the runs' ids at once."""
    rows = st.session_state[key]["selection"]["rows"]
    st.session_state["picked"] = [ids[row] for row in rows if row < len(ids)]


def groups(runs: Sequence[Run], by: str) -> None:
    """One line a group: how many runs, and the mean of their best accuracy."""
    rows = []
    for run in runs:
        settings = flatten(run.config)
        methods = ", ".join(k.split(".")[1] for k in settings if k.startswith("methods.") and k.count(".") == 1)
        value = {"status": run.status.value, "methods": methods or "none"}.get(by, settings.get(by, UNKNOWN))
        rows.append((value, run.results.best_val_accuracy))
    frame = pd.DataFrame(rows, columns=[by, "best"]).astype({"best": "float64"})
    found = frame.groupby(by)["best"].agg(["size", "mean", "std"]).reset_index()
    shown = found.assign(mean=found["mean"].map(percent), std=found["std"].map(percent))
    names = {"size": "runs", "mean": "mean best validation accuracy", "std": "standard deviation"}
    st.dataframe(shown.rename(columns=names), hide_index=True, key="groups")


store = source.the_store()
show.header("Runs", __doc__)
if not choice.any_run(store):
    show.nothing(
        "No run yet: every run you train will be a line here. `make demo` trains five small ones in under a minute, "
        "`gradscope.init(...)` in your own script adds yours.",
        show.LAUNCH,
        "Launch a run",
    )
known, group_by = filters(read.runs(store))
if group_by != "nothing" and known:
    groups(known, group_by)
before = read.fingerprint(store)[:2]
statuses_before = {run.id: run.status for run in known}
picked_before = list(st.session_state.get("picked", []))


def draw() -> None:
    """The table, as it is now."""
    jobs.reap(store)
    wanted = {run.id for run in known}
    runs = sorted((r for r in read.runs(store) if r.id in wanted), key=lambda r: r.id)
    if not runs:
        st.info("No run passes these filters; clear one of them.", icon=":material/filter_alt_off:")
    else:
        ids = [run.id for run in runs]
        key = f"runs_table_{hashlib.sha1(repr(ids).encode()).hexdigest()[:8]}"
        st.dataframe(
            table(store, runs, choice.look(runs)),
            key=key,
            hide_index=True,
            height="content" if len(runs) <= 13 else 470,
            column_config=columns(),
            selection_mode="multi-row",
            on_select=lambda: remember(key, ids),
        )
    changed = read.fingerprint(store)[:2] != before or {r.id: r.status for r in runs} != statuses_before
    if changed or st.session_state.get("picked", []) != picked_before:
        st.rerun()


alive = any(not run.status.is_final for run in known)
st.fragment(draw, run_every=1.0 if alive else 5.0)()
chosen = [run for run in known if run.id in st.session_state.get("picked", [])]
run_actions.panel(store, chosen)
number = read.fingerprint(store)[0]
st.caption(f"{count(number)} {'run' if number == 1 else 'runs'} in {store.shown}, SQLite {sqlite_version()}")
