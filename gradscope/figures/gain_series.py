"""The gain of every layer over the steps of some runs, and how much of the derivatives it lifts above one."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis.amplification import GAUSSIAN_SHARE
from gradscope.analysis.wording import percent, significant
from gradscope.figures.style import (
    NEUTRAL,
    SMALL_HEIGHT,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    run_colour,
    run_dash,
)

GAINS_TITLE = "Gain of each layer over the steps (paler: nearer the input)"
SHARES_TITLE = "Derivatives above 1 once normalised (dotted: Gaussian)"


def gains_over_steps(series: pd.DataFrame, runs: Mapping[int, RunStyle], *, height: int = SMALL_HEIGHT) -> Figure:
    """What each method multiplies the error by at each layer, on a log axis; a line a layer that has a gain.

    Args:
        series: `gradscope.store.read.gain_series` of these runs.
        runs: the runs to draw.
        height: in pixels.
    """
    known = series[np.isfinite(series["gain"]) & (series["gain"] > 0)]
    if known.empty:
        return empty(GAINS_TITLE, height)
    scale = alt.Scale(type="log", domainMin=min(1.0, float(known["gain"].min())), nice=False, padding=4)
    y = alt.Y("gain:Q", scale=scale, axis=alt.Axis(title=["gain", "(1 = plain)"], tickCount=4, format="~g"))
    plain = alt.Chart(pd.DataFrame({"gain": [1.0]})).mark_rule(color=NEUTRAL, strokeDash=[4, 3]).encode(y=y)
    return finished(alt.layer(plain, *_lines(known, runs, y)), GAINS_TITLE, height, columns=3)


def shares_over_steps(series: pd.DataFrame, runs: Mapping[int, RunStyle], *, height: int = SMALL_HEIGHT) -> Figure:
    """The share of f' / RMS(f') above 1 of each normalised layer, beside a Gaussian's; arguments as above."""
    known = series.dropna(subset="share_above_one")
    if known.empty:
        return empty(SHARES_TITLE, height)
    axis = alt.Axis(title=["share of", "elements"], format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
    y = alt.Y("share_above_one:Q", scale=alt.Scale(domain=[0, 1]), axis=axis)
    rule = alt.Chart(pd.DataFrame({"share_above_one": [GAUSSIAN_SHARE]})).mark_rule(color=NEUTRAL, strokeDash=[1, 4])
    gaussian = rule.encode(y=y, tooltip=alt.value(f"a Gaussian: {percent(GAUSSIAN_SHARE)}"))
    return finished(alt.layer(gaussian, *_lines(known, runs, y)), SHARES_TITLE, height, columns=3)


def _lines(known: pd.DataFrame, runs: Mapping[int, RunStyle], y: alt.Y) -> tuple[alt.Chart, alt.Chart]:
    rows = labelled(known, runs).assign(
        gain_text=known["gain"].map(significant).astype("object"),
        share_text=known["share_above_one"].map(percent).astype("object"),
    )
    x = alt.X("step:Q", axis=alt.Axis(title="step", format="~s", tickMinStep=1), scale=alt.Scale(nice=False))
    opacity = alt.Opacity("depth:Q", scale=alt.Scale(domain=[0, 1], range=[0.35, 1]), legend=None)
    tooltip = [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("method:N", title="method"),
        alt.Tooltip("step:Q", title="step", format=",d"),
        alt.Tooltip("gain_text:N", title="gain"),
        alt.Tooltip("share_text:N", title="derivatives above 1"),
    ]
    base = alt.Chart(rows).encode(x=x, y=y, detail=["run:N", "layer:N", "method:N"])
    lines = base.mark_line(strokeWidth=1.5).encode(color=run_colour(runs), strokeDash=run_dash(runs), opacity=opacity)
    # wide unseen marks, so that every record tells its numbers, also where there is only one
    aim = base.mark_point(size=90, filled=True).encode(opacity=alt.value(0), tooltip=tooltip)
    return lines, aim
