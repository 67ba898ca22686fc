"""What is different, and what did it change?"""

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import streamlit as st

from gradscope.analysis import decay
from gradscope.analysis.curves import smoothed
from gradscope.analysis.labels import with_short_names
from gradscope.analysis.life import seconds_taken
from gradscope.analysis.quantities import of_quantity
from gradscope.analysis.settings import differing, side_by_side
from gradscope.analysis.wording import UNKNOWN, duration, percent, plain, significant
from gradscope.figures.decay import gradient_decay
from gradscope.figures.histograms import histogram_lines
from gradscope.figures.learning import learning_curve
from gradscope.figures.style import RunStyle
from gradscope.records import Kind, Run
from pages.frame import address, choice, kinds, show, source

HOW = """
Above, the newest gradient of every layer and the accuracy, validation dashed: a run whose line on the left falls
towards the input usually lags on the right. The table lists the settings in which the runs differ, and what came of it.
Below, the same layer of every run: a histogram further to the left has smaller values, by a factor of two a unit.
"""


def results(runs: list[Run], profile: pd.DataFrame) -> dict[int, dict[str, str]]:
    """What came of each run, as texts."""
    now = datetime.now(UTC)
    found, named = {}, with_short_names(profile)
    for run in runs:
        own = named[named["run"] == run.id]
        seen = decay.of_profile(own) if len(own) else None
        found[run.id] = {
            "status": choice.status_text(run),
            "best validation accuracy": percent(run.results.best_val_accuracy),
            "test accuracy": percent(run.results.test_accuracy),
            "gradient a layer": f"\N{MULTIPLICATION SIGN}{significant(seen.factor)}" if seen else UNKNOWN,
            "gradient": seen.verdict if seen else UNKNOWN,
            "parameters": significant(run.n_parameters),
            "time at work": duration(seconds_taken(run, now)),
        }
    return found


def table(runs: list[Run], profile: pd.DataFrame, looks: Mapping[int, RunStyle]) -> pd.DataFrame:
    """Results first, then settings; a column a run."""
    with st.container(horizontal=True, vertical_alignment="center"):
        hide = st.toggle("Hide equal settings", value=True, key="hide", bind="query-params")
    settings = side_by_side({run.id: run.config for run in runs})
    settings = differing(settings) if hide else settings
    outcome = pd.DataFrame(results(runs, profile))
    whole = pd.concat([outcome, settings]).rename(columns={run.id: looks[run.id].label for run in runs})
    shown = whole.rename_axis("setting or result").reset_index()
    st.dataframe(shown, hide_index=True, key="compare_table", height="content" if len(shown) <= 15 else 520)
    if hide and settings.empty and len(runs) > 1:
        st.caption("These runs have the same settings.")
    return shown


def same_layer(runs: list[Run], looks: Mapping[int, RunStyle]) -> None:
    """The histograms of one layer of every run."""
    layers = source.layers(store, runs)
    names = list(dict.fromkeys(layers["name"]))
    if not names:
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        address.seed("layer_name", names, names[0])
        name = st.selectbox("Layer", names, key="layer_name", bind="query-params", width=260)
        chosen_kind = kinds.choose("values")
    counts = {}
    for run in runs:
        at = layers.loc[(layers["run"] == run.id) & (layers["name"] == name), "layer"]
        if len(at):
            steps, found = source.histograms(store, run, int(at.iloc[0]), chosen_kind)
            counts[run.id] = found[-1] if len(steps) else np.zeros(0, dtype=np.int64)
    figure = histogram_lines(
        {run: c for run, c in counts.items() if c.any()}, looks, what=chosen_kind.value, height=280
    )
    show.chart(figure, "same_layer", f"magnitudes of {name} in {len(counts)} runs")
    lacking = [looks[run.id].label for run in runs if run.id not in counts or not counts[run.id].any()]
    if lacking:
        st.caption(f"Without such a layer, or with nothing in it but zeros: {plain(', '.join(lacking))}.")


store = source.the_store()
show.header("Compare", __doc__)
runs_shown = show.runs_or_next_step(store, "comparison")


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    show.live_badge(runs)
    looks = choice.look(runs)
    profile = source.profile(store, runs, Kind.GRADIENT)
    left, right = st.columns(2)
    with left:
        figure = gradient_decay(profile, looks, relative=True, height=270, title="Gradient against depth")
        show.chart(figure, "compare_decay", "gradient RMS against relative depth")
    with right:
        names = tuple(of_quantity("accuracy", source.metric_names(store, runs)))
        metrics = source.metrics(store, runs, names, 200)
        curve = learning_curve(smoothed(metrics, 0.0), looks, what="accuracy", height=270)
        show.chart(curve, "compare_accuracy", "accuracy against step")
    shown = table(runs, profile, looks)
    same_layer(runs, looks)
    show.how_to_read(HOW, shown, "compare")


show.live(store, draw)
