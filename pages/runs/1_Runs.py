"""What has been trained, and what is training now?"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from gradscope import jobs
from gradscope.analysis import decay
from gradscope.analysis.labels import with_short_names
from gradscope.analysis.life import seconds_left, seconds_taken, share_done
from gradscope.analysis.settings import differing, flatten, side_by_side
from gradscope.analysis.wording import UNKNOWN, count, duration, percent, scored, significant
from gradscope.figures.style import RunStyle
from gradscope.records import Kind, Run, Status
from gradscope.store import Store, read, sqlite_version
from pages.frame import address, choice, run_actions, show, source
from pages.frame.chips import chip

ALWAYS_TO_GROUP_BY = ["nothing", "status", "methods"]
SCORES = ("accuracy", "mAP")


def filters(runs: Sequence[Run]) -> tuple[list[Run], str]:
    """The row above the table: the runs that pass, and what to group by."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        text = st.text_input(
            "Find", key="q", bind="query-params", placeholder="Name, note or setting", label_visibility="collapsed"
        )
        statuses = _several("status", [s.value for s in Status], "Any status")
        tags = _several("tag", sorted({tag for run in runs for tag in run.tags}), "Any tag")
        group = _group_by([*ALWAYS_TO_GROUP_BY, *differing(side_by_side({run.id: run.config for run in runs})).index])
    kept = [r for r in runs if (not statuses or r.status in statuses) and set(tags) <= set(r.tags)]
    return [r for r in kept if (text or "").lower() in _searchable(r)], group


def _several(key: str, options: list[str], placeholder: str) -> list[str]:
    """A choice of several; what is no longer there, such as the tag of a deleted run, is no longer chosen."""
    if key in st.session_state:
        st.session_state[key] = [option for option in st.session_state[key] if option in options]
    return st.multiselect(
        placeholder, options, key=key, bind="query-params", placeholder=placeholder, label_visibility="collapsed"
    )


def _group_by(options: list[str]) -> str:
    def text(option: str) -> str:
        return f"Group by {option}"

    address.seed("group", options, options[0], text)
    return st.selectbox(
        "Group by", options, key="group", bind="query-params", format_func=text, label_visibility="collapsed"
    )


def _searchable(run: Run) -> str:
    settings = " ".join(f"{k}={v}" for k, v in flatten(run.config).items())
    return f"{run.id} {run.name} {run.note} {' '.join(run.tags)} {settings}".lower()


def table(store: Store, runs: Sequence[Run], looks: dict[int, RunStyle]) -> pd.DataFrame:
    """A row a run."""
    now = datetime.now(UTC)
    losses = source.metrics(store, runs, ("train_loss", "loss"), 40)
    gradients = with_short_names(source.profile(store, runs, Kind.GRADIENT))
    return pd.DataFrame(
        {
            "": chip(looks[run.id]),
            **_life(run, now),
            **_result(run),
            "loss": losses.loc[losses["run"] == run.id, "value"].dropna().round(4).tolist(),
            "worst layer": _worst(gradients[gradients["run"] == run.id]),
            "started": run.started,
            "took": duration(seconds_taken(run, now)),
            "images/s": run.progress.samples_per_second,
            "tags": list(run.tags),
        }
        for run in runs
    )


def _life(run: Run, now: datetime) -> dict[str, object]:
    share, left = share_done(run), seconds_left(run, now)
    return {
        "run": choice.text_of(run),
        "status": choice.status_text(run),
        "done": None if share is None else 100 * share,
        "left": (_waits(run) or run.progress.phase or "") if left is None else duration(left),
    }


def _waits(run: Run) -> str:
    return f"waits for {run.waits_for}" if run.waits_for and run.status is Status.QUEUED else ""


def _result(run: Run) -> dict[str, str]:
    settings = flatten(run.config)
    return {
        "preset": settings.get("preset", UNKNOWN),
        "data": settings.get("data", UNKNOWN),
        "best": scored(run.results.best_val_score, run.results.score),
        "last": scored(run.results.val_score, run.results.score),
    }


def _worst(gradient: pd.DataFrame) -> str:
    worst = decay.worst_layer(gradient)
    return f"{worst[0]}, \N{MULTIPLICATION SIGN}{significant(worst[1])}" if worst else UNKNOWN


def columns(runs: Sequence[Run]) -> list[str]:
    """Which columns are worth their room: how far a run is, as long as one is not at its end."""
    done = [] if all(run.status is Status.COMPLETED for run in runs) else ["done"]
    left = [] if all(run.status.is_final for run in runs) else ["left"]
    results = ["best", "last", "loss", "worst layer", "started", "took"]
    return ["", "run", "status", *done, *left, *results, "preset", "data", "images/s", "tags"]


WORST_LAYER = "The layer with the lowest gradient RMS, and that RMS over the median of the layers"


def column_look(runs: Sequence[Run]) -> dict[str, ColumnConfig]:
    """How the columns are shown; up to `took` they fit a window of 1280 pixels."""
    column = st.column_config
    resting = all(run.status.is_final for run in runs)
    score = 65 if all(run.results.score == "accuracy" for run in runs) else 90
    return {
        "": column.ImageColumn(width=46, pinned=True),
        "run": column.TextColumn(width=180 if resting else 120, pinned=True),
        "status": column.TextColumn(width=92),
        "done": column.ProgressColumn(min_value=0, max_value=100, format="%.0f %%", width=75 if resting else 62),
        "left": column.TextColumn("time left", width=78),
        "preset": column.TextColumn(width=95),
        "data": column.TextColumn(width=60),
        "best": column.TextColumn("best val.", width=score, help="Best validation accuracy, or mAP"),
        "last": column.TextColumn("last val.", width=score, help="Validation accuracy, or mAP, of the last epoch"),
        "loss": column.LineChartColumn(width=52, help="Training loss"),
        "worst layer": column.TextColumn(width=118, help=WORST_LAYER),
        "images/s": column.NumberColumn(format="%.0f", width=80),
        "started": column.DatetimeColumn(
            format="D MMM, HH:mm",
            width=98,
            timezone=show.zone().key,
            help=f"In your time zone, {show.zone().key}; tick the run to see the year, and it in UTC",
        ),
        "took": column.TextColumn(width=80, help="Time at work, over all the times the run was started"),
        "tags": column.ListColumn(width=90),
    }


def remember(key: str, ids: list[int]) -> None:
    """Positions in the table as it was drawn, turned into the runs' ids at once."""
    rows = st.session_state[key]["selection"]["rows"]
    st.session_state["picked"] = [ids[row] for row in rows if row < len(ids)]


def groups(runs: Sequence[Run], by: str) -> None:
    """One line a group: how many runs, and the mean of their best scores, those of a kind together."""
    rows = []
    for run in runs:
        settings = flatten(run.config)
        methods = ", ".join(k.split(".")[1] for k in settings if k.startswith("methods.") and k.count(".") == 1)
        value = {"status": run.status.value, "methods": methods or "none"}.get(by, settings.get(by, UNKNOWN))
        rows.append((value, run.results.best_val_accuracy, run.results.best_val_map))
    frame = pd.DataFrame(rows, columns=[by, *SCORES]).astype(dict.fromkeys(SCORES, "float64"))
    found = frame.groupby(by)
    shown: dict[str, pd.Series] = {"runs": found.size()}
    for score in [name for name in SCORES if name == SCORES[0] or frame[name].notna().any()]:
        shown[f"mean best validation {score}"] = found[score].mean().map(percent)
        shown[f"standard deviation{'' if score == SCORES[0] else f' of {score}'}"] = found[score].std().map(percent)
    st.dataframe(pd.DataFrame(shown).reset_index(), hide_index=True, key="groups")


store = source.the_store()
show.header("Runs", __doc__)
if not choice.any_run(store):
    show.no_run_yet(store, "line in the table")
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
    runs = [run for run in read.runs(store) if run.id in wanted]  # the newest above: what was launched is seen
    if not runs:
        st.info("No run passes these filters; clear one of them.", icon=":material/filter_alt_off:")
    else:
        ids = [run.id for run in runs]
        # ticks are by row: a table of other runs is another one, ticked anew by the runs' ids
        key = f"runs_table_{hashlib.sha1(repr(ids).encode()).hexdigest()[:8]}"
        st.dataframe(
            table(store, runs, choice.look(runs)),
            key=key,
            hide_index=True,
            height="content" if len(runs) <= 13 else 470,
            column_order=columns(runs),
            column_config=column_look(runs),
            selection_mode="multi-row",
            selection_default={"selection": {"rows": [i for i, run in enumerate(ids) if run in picked_before]}},
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
