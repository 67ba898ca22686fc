"""Learning curves: loss and accuracy over the training."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from gradscope.figures.style import (
    ALARM,
    HEIGHT,
    NEUTRAL,
    NONFINITE,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    mark_legend,
    run_colour,
)

AXES = {"step": "step", "epoch": "epoch", "seconds": "time since the start (s)"}
"""What a curve can be drawn against, and what the axis then says."""

_SPLITS = ["training", "validation"]


def learning_curve(
    metrics: pd.DataFrame,
    runs: Mapping[int, RunStyle],
    *,
    what: str = "loss",
    against: str = "step",
    height: int = HEIGHT,
    title: str | None = None,
) -> Figure:
    """Training (whole line) and validation (dashed, with points) of one quantity, raw pale behind smoothed.

    A value that is not finite is a red cross where the curve was last seen.

    Args:
        metrics: `gradscope.analysis.curves.smoothed` of `gradscope.store.read.metrics`.
        runs: the runs to draw.
        what: `loss` or `accuracy`; the metrics train_<what> and val_<what> are drawn.
        against: `step`, `epoch` or `seconds`.
        height: in pixels.
        title: the figure's title; the quantity by default.
    """
    text = title if title is not None else what.capitalize()
    names = {f"train_{what}": _SPLITS[0], what: _SPLITS[0], f"val_{what}": _SPLITS[1]}
    rows = labelled(metrics, runs)
    rows = rows[rows["name"].isin(names)]
    rows = rows.assign(split=rows["name"].map(names).astype("object"), broken=~np.isfinite(rows["value"]))
    rows = rows[rows[against].notna()]
    if rows.empty:
        return empty(text, height)
    rows["seen"] = rows.groupby(["run", "name"])["value"].ffill().fillna(0.0)
    parts = [
        _raw(rows, runs, against, what),
        _smooth(rows, runs, against, what),
        _validation(rows, runs, against, what),
    ]
    if rows["broken"].any():
        parts.append(_broken(rows[rows["broken"]].groupby(["run", "name"]).head(1), against))
    return finished(alt.layer(*parts).resolve_scale(shape="independent"), text, height, columns=3)


def _x(against: str) -> alt.X:
    return alt.X(
        f"{against}:Q", axis=alt.Axis(title=AXES[against], tickMinStep=1), scale=alt.Scale(nice=False, zero=True)
    )


def _y(column: str, what: str) -> alt.Y:
    accuracy = what == "accuracy"
    axis = alt.Axis(title="accuracy" if accuracy else f"{what} (nats)", format="%" if accuracy else "~g")
    return alt.Y(f"{column}:Q", axis=axis, scale=alt.Scale(zero=False))


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("name:N", title="curve"),
        alt.Tooltip("step:Q", title="step", format=",d"),
        alt.Tooltip("epoch:Q", title="epoch", format=".3~g"),
        alt.Tooltip("value:Q", title="value", format=".4g"),
        alt.Tooltip("smooth:Q", title="smoothed", format=".4g"),
    ]


def _split_dash() -> alt.StrokeDash:
    legend = alt.Legend(title=None, orient="bottom", symbolStrokeColor=NEUTRAL, symbolOpacity=1, symbolSize=200)
    return alt.StrokeDash("split:N", scale=alt.Scale(domain=_SPLITS, range=[[1, 0], [5, 3]]), legend=legend)


def _raw(rows: pd.DataFrame, runs: Mapping[int, RunStyle], against: str, what: str) -> alt.Chart:
    line = alt.Chart(_slim(rows)).mark_line(strokeWidth=1, opacity=0.25, invalid="break-paths-show-path-domains")
    chart: alt.Chart = line.encode(
        x=_x(against), y=_y("value", what), color=run_colour(runs), strokeDash=_split_dash(), detail="run:N"
    )
    return chart


def _smooth(rows: pd.DataFrame, runs: Mapping[int, RunStyle], against: str, what: str) -> alt.Chart:
    line = alt.Chart(_slim(rows)).mark_line(strokeWidth=2, invalid="break-paths-show-path-domains")
    chart: alt.Chart = line.encode(
        x=_x(against),
        y=_y("smooth", what),
        color=run_colour(runs),
        strokeDash=_split_dash(),
        detail="run:N",
        tooltip=_tooltip(),
    )
    return chart


def _validation(rows: pd.DataFrame, runs: Mapping[int, RunStyle], against: str, what: str) -> alt.Chart:
    points = alt.Chart(_slim(rows[(rows["split"] == _SPLITS[1]) & ~rows["broken"]])).mark_point(filled=True, size=35)
    chart: alt.Chart = points.encode(x=_x(against), y=_y("smooth", what), color=run_colour(runs), tooltip=_tooltip())
    return chart


def _broken(rows: pd.DataFrame, against: str) -> alt.Chart:
    shape = alt.Shape("mark:N", scale=alt.Scale(domain=[NONFINITE], range=["cross"]), legend=mark_legend())
    points = alt.Chart(_slim(rows).assign(seen=rows["seen"], mark=NONFINITE))
    chart: alt.Chart = points.mark_point(size=120, strokeWidth=2, color=ALARM, filled=True).encode(
        x=_x(against), y=alt.Y("seen:Q"), shape=shape, tooltip=_tooltip()
    )
    return chart


def _slim(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["run", "label", "name", "split", "step", "epoch", "seconds", "value", "smooth"]]
