"""How much stronger methods make the gradient of every layer of some runs at one step."""

import math
from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis.wording import percent, significant
from gradscope.figures.decay import depth_axis
from gradscope.figures.style import (
    NEUTRAL,
    SMALL_HEIGHT,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    log_axis,
    run_colour,
    run_dash,
    run_shape,
    ticks,
)

TITLE = "Amplification of every layer's gradient (marks: own gain)"
_TREATED, _PLAIN = "treated", "plain"
RAW_TITLE = "Gradient, treated (line) and plain (dotted)"


def amplification(
    table: pd.DataFrame, runs: Mapping[int, RunStyle], *, relative: bool = False, height: int = SMALL_HEIGHT
) -> Figure:
    """Factor between the gradient and what plain backpropagation would have given, on a log axis against depth.

    A line a run; a mark where a layer has a gain of its own, at the height of what has come together there.

    Args:
        table: `gradscope.analysis.amplification.of_profile`.
        runs: the runs to draw.
        relative: depth as a share in 0..1.
        height: in pixels.
    """
    rows = labelled(table, runs)
    known = rows["amplification"].astype(float)
    rows = rows.assign(at=known.where(np.isfinite(known) & (known > 0)))
    if not rows["at"].notna().any():
        return empty(TITLE, height)
    low, high = min(1.0, float(rows["at"].min())), max(1.0, float(rows["at"].max()))
    scale = alt.Scale(type="log", domain=[low / 1.2, high * 1.2], nice=False)
    axis = alt.Axis(title=["factor", "(1 = plain)"], format="~g", values=_marks(low, high))
    y = alt.Y("at:Q", scale=scale, axis=axis)
    x = depth_axis(rows, relative)
    drawn = _drawn(rows)
    lines = alt.Chart(drawn).mark_line(strokeWidth=2, invalid="break-paths-show-path-domains")
    lines = lines.encode(x=x, y=y, color=run_colour(runs), strokeDash=run_dash(runs), detail="run:N")
    marks = alt.Chart(drawn[drawn["gain"].notna() & drawn["at"].notna()]).mark_point(filled=True, size=60, opacity=1)
    marks = marks.encode(x=x, y=y, color=run_colour(runs), shape=run_shape(runs), tooltip=_tooltip())
    plain = alt.Chart(pd.DataFrame({"at": [1.0]})).mark_rule(color=NEUTRAL, strokeDash=[4, 3]).encode(y=y)
    # a wide unseen mark on every layer, so that those without a gain tell their numbers too
    aim = alt.Chart(drawn[drawn["at"].notna()]).mark_point(size=120, opacity=0, filled=True)
    aim = aim.encode(x=x, y=y, tooltip=_tooltip())
    whole = alt.layer(plain, lines, aim, marks).resolve_scale(shape="independent")
    return finished(whole, TITLE, height, columns=3)


def raw_and_treated(
    table: pd.DataFrame, runs: Mapping[int, RunStyle], *, relative: bool = False, height: int = SMALL_HEIGHT
) -> Figure:
    """The gradient of every layer as the optimiser sees it, and as plain backpropagation would have given it.

    Arguments as of `amplification`. What is zero, unknown or not finite has no place here; the picture above has marks.
    """
    both = [
        labelled(table, runs).assign(at=np.log10(values.where(np.isfinite(values) & (values > 0))), kind=kind)
        for kind, column in ((_TREATED, "rms"), (_PLAIN, "plain_rms"))
        for values in [labelled(table, runs)[column].astype(float)]
    ]
    rows = pd.concat(both, ignore_index=True)
    if not rows["at"].notna().any():
        return empty(RAW_TITLE, height)
    low, high = math.floor(rows["at"].min()), math.ceil(rows["at"].max())
    axis = log_axis(ticks(low, high, at_most=5), ["RMS of dL/dW", "(nats per unit weight)"])
    y = alt.Y("at:Q", scale=alt.Scale(domain=[low, max(high, low + 1)], nice=False, zero=False), axis=axis)
    x = depth_axis(rows, relative)
    drawn = _drawn(rows).assign(kind=rows["kind"])
    dash = alt.StrokeDash("kind:N", scale=alt.Scale(domain=[_TREATED, _PLAIN], range=[[1, 0], [1, 4]]), legend=None)
    lines = alt.Chart(drawn).mark_line(strokeWidth=2, invalid="break-paths-show-path-domains")
    lines = lines.encode(x=x, y=y, color=run_colour(runs), strokeDash=dash, detail=["run:N", "kind:N"])
    aim = alt.Chart(drawn[drawn["at"].notna()]).mark_point(size=120, opacity=0, filled=True)
    return finished(alt.layer(lines, aim.encode(x=x, y=y, tooltip=_tooltip())), RAW_TITLE, height, columns=3)


def _marks(low: float, high: float) -> list[float]:
    """Where the axis is labelled: 1, 2, 5, 10, ... where these are few, else powers of ten."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [m * 10.0**e for e in decades for m in (1, 2, 5) if low / 1.2 <= m * 10.0**e <= high * 1.2]
    coarse = [10.0**e for e in ticks(math.log10(low / 1.2), math.log10(high * 1.2), at_most=5)]
    return fine if len(fine) <= 5 else coarse


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["run", "label", "layer", "name", "depth", "step", "at", "gain"]
    return rows[columns].assign(
        factor_text=rows["amplification"].map(significant).astype("object"),
        gain_text=rows["gain"].map(significant).astype("object"),
        share_text=rows["share_above_one"].map(percent).astype("object"),
        rms_text=rows["rms"].map(significant).astype("object"),
        plain_text=rows["plain_rms"].map(significant).astype("object"),
    )


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("step:Q", title="step", format=",d"),
        alt.Tooltip("factor_text:N", title="amplified in all"),
        alt.Tooltip("gain_text:N", title="gain of the layer"),
        alt.Tooltip("share_text:N", title="derivatives above 1"),
        alt.Tooltip("rms_text:N", title="RMS, treated"),
        alt.Tooltip("plain_text:N", title="RMS, plain"),
    ]
