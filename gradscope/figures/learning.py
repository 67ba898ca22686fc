"""Learning curves: loss, accuracy and whatever else was logged, over the training."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis.quantities import SPLITS, quantity_and_split
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
    run_shape,
)

AXES = {"step": "step", "epoch": "epoch", "seconds": "time since the start (s)"}
"""What a curve can be drawn against, and what the axis then says."""

SHARES = ("accuracy", "mAP", "exact match")
"""Quantities in 0..1 that are drawn in per cent."""

_NUMBER = "datum.value && (abs(datum.value) < 1e-3 || abs(datum.value) >= 1e5) ? format(datum.value, '.2~e') : " + (
    "format(datum.value, ',~f')"
)
"""A number of any size as an axis says it."""


def learning_curve(
    metrics: pd.DataFrame,
    runs: Mapping[int, RunStyle],
    *,
    what: str = "loss",
    against: str = "step",
    height: int = HEIGHT,
    title: str | None = None,
) -> Figure:
    """Training (whole line), validation (dashed, with points) and test of one quantity, raw pale behind smoothed.

    A value that is not finite is a red cross where the curve was last seen.

    Args:
        metrics: `gradscope.analysis.curves.smoothed` of `gradscope.store.read.metrics`; of
            `gradscope.analysis.pooling.pooled_curves` the deviation of a group is drawn as a pale band.
        runs: the runs to draw.
        what: the quantity, as `gradscope.analysis.quantities` tells it by a curve's name.
        against: `step`, `epoch` or `seconds`.
        height: in pixels.
        title: the figure's title; the quantity by default.
    """
    text = title if title is not None else what if what[1:] != what[1:].lower() else what[:1].upper() + what[1:]
    rows = _of(what, labelled(metrics, runs))
    rows = rows[rows[against].notna()]
    if rows.empty:
        return empty(text, height)
    rows["seen"] = rows.groupby(["run", "name"])["value"].ffill().fillna(0.0)
    axis = _axis(what, rows)
    parts = [
        *_spread(rows, runs, against, axis),
        _raw(rows, runs, against, axis),
        _smooth(rows, runs, against, axis),
        _validation(rows, runs, against, axis),
    ]
    if rows["broken"].any():
        parts.append(_broken(rows[rows["broken"]].groupby(["run", "name"]).head(1), against))
    return finished(alt.layer(*parts).resolve_scale(shape="independent"), text, height, columns=3)


def _of(what: str, metrics: pd.DataFrame) -> pd.DataFrame:
    """The rows of one quantity, each with its split and whether its value is finite."""
    told = {name: quantity_and_split(name) for name in metrics["name"].unique()}
    rows = metrics[metrics["name"].map({name: quantity == what for name, (quantity, _) in told.items()}).astype(bool)]
    splits = {name: split for name, (_, split) in told.items()}
    return rows.assign(split=rows["name"].map(splits).astype("object"), broken=~np.isfinite(rows["value"]))


def _axis(what: str, rows: pd.DataFrame) -> alt.Axis:
    if what in SHARES and rows["value"].max() <= 1:  # and not in per cent already, as some programs log it
        return alt.Axis(title=what, format="%")
    return alt.Axis(title=f"{what} (nats)" if what == "loss" else what, labelExpr=_NUMBER)


def _x(against: str) -> alt.X:
    return alt.X(
        f"{against}:Q", axis=alt.Axis(title=AXES[against], tickMinStep=1), scale=alt.Scale(nice=False, zero=True)
    )


def _y(column: str, axis: alt.Axis) -> alt.Y:
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


def _split_dash(rows: pd.DataFrame) -> alt.StrokeDash:
    present = [split for split in SPLITS if (rows["split"] == split).any()]
    legend = alt.Legend(
        title=None, orient="bottom", symbolStrokeColor=NEUTRAL, symbolOpacity=1, symbolSize=200, values=present
    )
    scale = alt.Scale(domain=list(SPLITS), range=[[1, 0], [5, 3], [1, 2]])
    return alt.StrokeDash("split:N", scale=scale, legend=None if present == [SPLITS[0]] else legend)


def _raw(rows: pd.DataFrame, runs: Mapping[int, RunStyle], against: str, axis: alt.Axis) -> alt.Chart:
    line = alt.Chart(_slim(rows)).mark_line(strokeWidth=1, opacity=0.25, invalid="break-paths-show-path-domains")
    chart: alt.Chart = line.encode(
        x=_x(against),
        y=_y("value", axis),
        color=run_colour(runs),
        strokeDash=_split_dash(rows),
        detail=["run:N", "name:N"],
    )
    return chart


def _spread(rows: pd.DataFrame, runs: Mapping[int, RunStyle], against: str, axis: alt.Axis) -> list[alt.Chart]:
    if "low" not in rows or rows["low"].isna().all():
        return []
    pooled = _slim(rows).assign(low=rows["low"], high=rows["high"]).dropna(subset=["low", "high"])
    area = alt.Chart(pooled).mark_area(opacity=0.15)
    chart: alt.Chart = area.encode(
        x=_x(against),
        y=_y("low", axis),
        y2="high:Q",
        color=run_colour(runs),
        detail=["run:N", "name:N"],
        tooltip=alt.value(None),
    )
    return [chart]


def _smooth(rows: pd.DataFrame, runs: Mapping[int, RunStyle], against: str, axis: alt.Axis) -> alt.Chart:
    line = alt.Chart(_slim(rows)).mark_line(strokeWidth=2, invalid="break-paths-show-path-domains")
    chart: alt.Chart = line.encode(
        x=_x(against),
        y=_y("smooth", axis),
        color=run_colour(runs),
        strokeDash=_split_dash(rows),
        detail=["run:N", "name:N"],
        tooltip=_tooltip(),
    )
    return chart


def _validation(rows: pd.DataFrame, runs: Mapping[int, RunStyle], against: str, axis: alt.Axis) -> alt.Chart:
    points = alt.Chart(_slim(rows[(rows["split"] != SPLITS[0]) & ~rows["broken"]])).mark_point(filled=True, size=35)
    chart: alt.Chart = points.encode(
        x=_x(against), y=_y("smooth", axis), color=run_colour(runs), shape=run_shape(runs), tooltip=_tooltip()
    )
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
