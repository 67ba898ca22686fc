"""One layer over the steps: how much a step changes its weights, and which of its values are lost."""

import math

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis.wording import significant
from gradscope.figures.style import (
    ALARM,
    HEALTHY,
    NEUTRAL,
    PALETTE,
    SMALL_HEIGHT,
    Figure,
    empty,
    finished,
    log_axis,
    ticks,
)

HEALTHY_RATIO = (-4.0, -2.0)
"""log10 of the update-to-weight ratios at which training usually goes well: about 10⁻³ (Karpathy, CS231n notes)."""

_SHARES = {
    "zeros": "exactly zero",
    "nonfinite": "not finite",
    "saturated": "saturated outputs",
    "dead": "dead units",
}
_COLOURS = (NEUTRAL, ALARM, PALETTE[1], PALETTE[4])


def update_ratio(ratio: pd.DataFrame, *, colour: str = PALETTE[0], height: int = SMALL_HEIGHT) -> Figure:
    """RMS of the update over RMS of the weights, on a log axis, with the healthy band.

    Args:
        ratio: `gradscope.store.read.update_ratio`: step, ratio.
        colour: of the line, the run's.
        height: in pixels.
    """
    title = "Update-to-weight ratio"
    known = ratio[np.isfinite(ratio["ratio"]) & (ratio["ratio"] > 0)]
    if known.empty:
        return empty(title, height)
    texts = known["ratio"].map(significant).astype("object")
    known = known.assign(log=np.log10(known["ratio"].to_numpy(dtype=np.float64)), text=texts)
    low = min(HEALTHY_RATIO[0] - 1, math.floor(known["log"].min()))
    high = max(HEALTHY_RATIO[1] + 1, math.ceil(known["log"].max()))
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    y = alt.Y("log:Q", scale=scale, axis=log_axis(ticks(low, high, 6), "update / weight (RMS)"))
    tooltip = [alt.Tooltip("step:Q", format=",d"), alt.Tooltip("text:N", title="ratio")]
    line = alt.Chart(known).mark_line(color=colour, strokeWidth=2).encode(x=_x(), y=y, tooltip=tooltip)
    band = alt.Chart(pd.DataFrame({"log": [HEALTHY_RATIO[0]], "upper": [HEALTHY_RATIO[1]]}))
    rect = band.mark_rect(color=HEALTHY, opacity=0.1).encode(
        y=y, y2="upper:Q", tooltip=alt.value("healthy: 10⁻⁴ to 10⁻²")
    )
    return finished(alt.layer(rect, line), title, height)


def lost_values(statistics: pd.DataFrame, *, height: int = SMALL_HEIGHT) -> Figure:
    """Share of a layer's values that are exactly zero or not finite, of its outputs that are saturated, units dead.

    Args:
        statistics: rows of one layer: step, n, zeros, nan, pos_inf, neg_inf, saturated, dead.
        height: in pixels.
    """
    title = "Zeros, not finite, saturated, dead"
    rows = statistics[statistics["n"] > 0]
    if rows.empty:
        return empty(title, height)
    broken = rows[["nan", "pos_inf", "neg_inf"]].sum(axis=1) / rows["n"]
    wide = rows[["step", "saturated", "dead"]].assign(zeros=rows["zeros"] / rows["n"], nonfinite=broken)
    tidy = wide.melt("step", list(_SHARES), "what", "share").dropna(subset="share")
    tidy = tidy.assign(what=tidy["what"].map(_SHARES).astype("object"))
    colour = alt.Color(
        "what:N",
        scale=alt.Scale(domain=list(_SHARES.values()), range=list(_COLOURS)),
        legend=alt.Legend(title=None, orient="bottom", columns=3, symbolSize=100, values=_present(tidy)),
    )
    dash = alt.StrokeDash(
        "what:N", scale=alt.Scale(domain=list(_SHARES.values()), range=[[1, 0], [2, 2], [6, 3], [8, 3, 2, 3]])
    )
    y = alt.Y("share:Q", axis=alt.Axis(title="share", format="~%", tickCount=5), scale=alt.Scale(domain=[0, 1]))
    tooltip = ["what:N", alt.Tooltip("step:Q", format=",d"), alt.Tooltip("share:Q", format=".2%")]
    chart: alt.Chart = (
        alt.Chart(tidy).mark_line(strokeWidth=2).encode(x=_x(), y=y, color=colour, strokeDash=dash, tooltip=tooltip)
    )
    return finished(chart, title, height)


def _present(tidy: pd.DataFrame) -> list[str]:
    """What the legend needs to name."""
    return [what for what in _SHARES.values() if what in set(tidy["what"])]


def _x() -> alt.X:
    return alt.X("step:Q", axis=alt.Axis(title="step", format="~s", tickMinStep=1), scale=alt.Scale(nice=False))
