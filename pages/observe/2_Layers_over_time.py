"""When does a layer stop learning?"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st

from gradscope.analysis.wording import count, plain
from gradscope.figures.histograms import histogram_bars, histogram_map
from gradscope.figures.layer_map import layer_map
from gradscope.figures.layer_series import lost_values, update_ratio
from gradscope.figures.style import log_span
from gradscope.records import Kind, Run
from gradscope.store import read
from pages.frame import address, choice, kinds, show, source

MOST_CELLS = 5000
ALONE = "no other run"
HOW = """
Above, each row is a layer (the input at the bottom) and each column a recorded step; the colour is log10 of the RMS, on
one scale for both runs. **Healthy** is one colour from bottom to top. **Vanishing** darkens towards the bottom,
**exploding** brightens. Grey is exactly zero, red is not finite, blank was not recorded. A click on a cell chooses its
layer for the pictures below: how large its values were, how many are lost, and how much a step changes its weights
(about a thousandth is usual).
"""


def pick_layer(key: str) -> None:
    """A clicked cell chooses its layer."""
    cell = show.picked(key)
    if cell:
        st.session_state["layer_clicked"] = int(cell["layer"])


def controls(runs: Sequence[Run]) -> tuple[Kind, Run, Run | None]:
    """The row above the figures: what, of which run, beside which other."""
    by_id = {run.id: run for run in runs}

    def text(run_id: int) -> str:
        return choice.text_of(by_id[run_id]) if run_id else ALONE

    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = kinds.choose("what")
        ids = list(by_id)
        address.seed("run", ids, ids[0], text)
        run = st.selectbox("Run", ids, key="run", bind="query-params", format_func=text, label_visibility="collapsed")
        others = [0, *(i for i in ids if i != run)]
        address.seed("beside", others, 0, text)
        beside = st.selectbox(
            "Beside", others, key="beside", bind="query-params", format_func=text, label_visibility="collapsed"
        )
    return kind, by_id[run], by_id[beside] if beside else None


def choose_layer(names: dict[int, str]) -> int:
    """The layer of the lower pictures: clicked, or from the list."""

    def text(layer: int) -> str:
        return f"{layer} {names[layer]}"

    clicked = st.session_state.pop("layer_clicked", None)
    if clicked in names:
        st.session_state["layer"] = clicked
    address.seed("layer", list(names), next(iter(names)), text)
    return st.selectbox("Layer", list(names), key="layer", bind="query-params", format_func=text, width=260)


def choose_step(steps: list[int]) -> int:
    """The step of the bars."""
    address.seed_step("at", steps)
    if len(steps) < 2:
        return steps[0]
    return st.select_slider("Step", steps, value=steps[-1], key="at", bind="query-params")


def maps(kind: Kind, shown: list[Run], layer: int | None, step: int | None) -> None:
    """One heatmap, or two side by side on one scale."""
    found = {}
    for run in shown:
        n_layers = max(1, len(source.layers(store, [run])))
        found[run.id] = source.layer_map(store, run, kind, max(20, MOST_CELLS // n_layers // 2))
    span = log_span(found.values())
    for place, run in zip(st.columns(len(shown)), shown, strict=True):
        with place:
            key = f"map_{shown.index(run)}"
            title = f"{kind.value.capitalize()} of {run.name}"
            figure = layer_map(found[run.id], kind=kind, span=span, layer=layer, step=step, height=300, title=title)
            show.chart(figure, key, f"{kind} RMS of every layer of {run.name} over the steps", partial(pick_layer, key))


def details(kind: Kind, run: Run, layer: int, step: int) -> pd.DataFrame:
    """The lower pictures: one layer of the first run."""
    colour = choice.look([run])[run.id].colour
    steps, counts = source.histograms(store, run, layer, kind)
    rows = source.layer_map(store, run, kind, 300)
    rows = rows[rows["layer"] == layer]
    left, right = st.columns(2)
    with left:
        show.chart(
            histogram_map(steps, counts, what=kind.value, step=step), "histogram_map", "magnitudes over the steps"
        )
        show.chart(lost_values(_with_outputs(run, rows, layer, kind)), "lost_values", "shares of lost values")
    with right:
        at = int(np.searchsorted(steps, step, side="right")) - 1
        if at >= 0:
            bars = histogram_bars(counts[at], what=kind.value, step=int(steps[at]), colour=colour)
            show.chart(bars, "histogram_bars", "magnitudes at one step")
        else:
            st.info("No histogram was recorded up to this step.")
        ratio = source.update_ratio(store, run, layer)
        show.chart(update_ratio(ratio, colour=colour), "update_ratio", "update-to-weight ratio over the steps")
    return rows


def _with_outputs(run: Run, rows: pd.DataFrame, layer: int, kind: Kind) -> pd.DataFrame:
    """Saturation and death are known of the activations only; they are shown beside any kind."""
    if kind is Kind.ACTIVATION:
        return rows
    outputs = source.layer_map(store, run, Kind.ACTIVATION, 300)
    outputs = outputs.loc[outputs["layer"] == layer, ["step", "saturated", "dead"]]
    return rows.drop(columns=["saturated", "dead"]).merge(outputs, on="step", how="left")


def sentence(rows: pd.DataFrame, name: str, step: int) -> str:
    """The counts at the step, in words."""
    now = rows[rows["step"] <= step].tail(1)
    if now.empty:
        return f"{name} has no record up to step {count(step)}."
    row = now.iloc[0]
    broken = int(row["nan"] + row["pos_inf"] + row["neg_inf"])
    return (
        f"{name} at step {count(int(row['step']))}: {count(int(row['n']))} values, {count(int(row['zeros']))} exactly "
        f"zero, {count(broken)} not finite."
    )


store = source.the_store()
show.header("Layers over time", __doc__)
runs_shown = show.runs_or_next_step(store, "heatmap")
address_runs = address.wanted("run", [r.id for r in read.runs(store)])
known_ids = {r.id for r in runs_shown}
extra = {st.session_state.get("run"), *address_runs} - known_ids - {None}
runs_to_choose = runs_shown + [r for r in read.runs(store) if r.id in extra]
chosen_kind, first, other = controls(runs_to_choose)


def draw(_: list[Run]) -> None:
    """Everything that moves."""
    fresh = [read.run(store, run.id) for run in (first, other) if run]
    show.live_badge(fresh)
    layers = source.layers(store, fresh[:1])
    names = dict(zip(layers["layer"].tolist(), layers["name"], strict=True))
    steps = source.steps(store, fresh[:1])
    if not names or not steps:
        st.info(f"{plain(first.name)} has recorded no layer yet; choose another run, or wait for its first step.")
        return
    place = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        layer = choose_layer(names)
        step = choose_step(steps)
    with place:
        maps(chosen_kind, fresh, layer, step)
    rows = details(chosen_kind, fresh[0], layer, step)
    st.caption(plain(sentence(rows, names[layer], step)))
    show.how_to_read(HOW, rows, "layers_over_time")


show.live(store, draw)
