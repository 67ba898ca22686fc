"""Learning curves: loss, accuracy and whatever else was logged, over the training."""

from collections.abc import Mapping
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis.curves import ceiling, exploded
from gradscope.analysis.quantities import SPLITS, quantity_and_split
from gradscope.analysis.wording import count, significant
from gradscope.figures.style import (
    ABOVE,
    ALARM,
    HEIGHT,
    NEUTRAL,
    NONFINITE,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    line_and_marker_colour,
    mark_legend,
    run_colour,
    run_shape,
    share_a_colour,
)

AXES = {"step": "step", "epoch": "epoch", "seconds": "time since the start (s)"}
"""What a curve can be drawn against, and what the axis then says."""

SHARES = ("accuracy", "mAP", "exact match")
"""Quantities in 0..1 that are drawn in per cent."""

_NUMBER = "datum.value && (abs(datum.value) < 1e-3 || abs(datum.value) >= 1e5) ? format(datum.value, '.2~e') : " + (
    "format(datum.value, ',~f')"
)
"""A number of any size as an axis says it."""

_MARKERS = 8
"""On a line whose colour another run has too, about."""


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

    A value that is not finite is a red cross where the curve was last seen. Where a loss exploded, the axis ends at
    what the others need, a red triangle is where a curve leaves it, and a line below the title counts what lies above.

    Args:
        metrics: `gradscope.analysis.curves.smoothed` of `gradscope.store.read.metrics`; of
            `gradscope.analysis.pooling.pooled_curves` the deviation of a group is drawn as a pale band, which for a
            share is cut at 0 and 100 %, with a line below the title that says so.
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
    axes = _axes(what, rows, against)
    rows["seen"] = _last_seen(rows).clip(upper=axes.top)
    ends = _ends(what, rows)
    parts = [
        *_spread(rows, runs, axes, ends),
        _raw(rows, runs, axes),
        _smooth(rows, runs, axes),
        _validation(rows, runs, axes),
        *_sparse(rows, runs, axes),
    ]
    above = rows.head(0) if axes.top is None else rows[rows["value"] > axes.top]
    if rows["broken"].any() or len(above):
        parts.append(_marks(_special(rows, above), axes))
    whole = alt.layer(*parts).resolve_scale(shape="independent")
    return finished(whole, text, height, columns=3, below=_cut(above) or _cut_bands(rows, ends))


@dataclass(frozen=True, kw_only=True)
class _Axes:
    x: alt.X
    y: alt.Axis
    scale: alt.Scale
    top: float | None
    """Where the vertical one ends; None where it holds everything."""

    def along(self, column: str) -> alt.Y:
        """The vertical axis of a column."""
        return alt.Y(f"{column}:Q", axis=self.y, scale=self.scale)


def _axes(what: str, rows: pd.DataFrame, against: str) -> _Axes:
    """Linear; without what a run that exploded has above the others, logarithmic where all of them exploded."""
    top = ceiling(rows) if "loss" in what else None
    scale = alt.Scale(zero=False) if top is None else alt.Scale(zero=False, domainMax=top, nice=False)
    if top is None and "loss" in what and exploded(rows) and not (rows["value"] <= 0).any():
        scale = alt.Scale(type="log")
    return _Axes(x=_x(against), y=_axis(what, rows), scale=scale, top=top)


def _last_seen(rows: pd.DataFrame) -> pd.Series:
    """The last finite value of each point's curve; the least of all where it had none."""
    finite = rows["value"].where(~rows["broken"])
    least = finite.min() if finite.notna().any() else 0.0
    return finite.groupby([rows["run"], rows["name"]]).ffill().fillna(least)


def _cut(above: pd.DataFrame) -> str | None:
    """What the axis does not hold, in words."""
    if above.empty:
        return None
    runs = list(dict.fromkeys(above["label"]))
    whose = ", ".join(runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")
    return f"{count(len(above))} points of {whose} lie above, up to {significant(float(above['value'].max()))}"


def _cut_bands(rows: pd.DataFrame, ends: tuple[float, float]) -> str | None:
    """Where a mean with its deviation would leave what there is, in words."""
    if "low" not in rows:
        return None
    passed = {"0": (rows["low"] < ends[0]).any(), "100 %": (rows["high"] > ends[1]).any()}
    places = " and ".join(place for place, is_passed in passed.items() if is_passed)
    return f"Bands are cut at {places}, where a mean \N{PLUS-MINUS SIGN} deviation would go on" if places else None


def _special(rows: pd.DataFrame, above: pd.DataFrame) -> pd.DataFrame:
    """Of each curve the first point above the axis, and the first that is not finite."""
    firsts = {ABOVE: above, NONFINITE: rows[rows["broken"]]}
    return pd.concat([f.groupby(["run", "name"]).head(1).assign(mark=mark) for mark, f in firsts.items()])


def _of(what: str, metrics: pd.DataFrame) -> pd.DataFrame:
    """The rows of one quantity, each with its split and whether its value is finite."""
    told = {name: quantity_and_split(name) for name in metrics["name"].unique()}
    rows = metrics[metrics["name"].map({name: quantity == what for name, (quantity, _) in told.items()}).astype(bool)]
    splits = {name: split for name, (_, split) in told.items()}
    return rows.assign(split=rows["name"].map(splits).astype("object"), broken=~np.isfinite(rows["value"]))


def _ends(what: str, rows: pd.DataFrame) -> tuple[float, float]:
    """Between which every value lies: for a share 0 and 1, or 100 where a program logged it in per cent."""
    if what not in SHARES:
        return -np.inf, np.inf
    return 0.0, 1.0 if rows["value"].max() <= 1 else 100.0


def _axis(what: str, rows: pd.DataFrame) -> alt.Axis:
    if _ends(what, rows)[1] == 1:
        return alt.Axis(title=what, format="%")
    return alt.Axis(title=f"{what} (nats)" if what == "loss" else what, labelExpr=_NUMBER)


def _x(against: str) -> alt.X:
    return alt.X(
        f"{against}:Q", axis=alt.Axis(title=AXES[against], tickMinStep=1), scale=alt.Scale(nice=False, zero=True)
    )


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


def _colour(runs: Mapping[int, RunStyle]) -> alt.Color:
    return line_and_marker_colour(runs) if share_a_colour(runs) else run_colour(runs)


def _raw(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes) -> alt.Chart:
    line = alt.Chart(_slim(rows)).mark_line(
        strokeWidth=1, opacity=0.25, clip=True, invalid="break-paths-show-path-domains"
    )
    chart: alt.Chart = line.encode(
        x=axes.x,
        y=axes.along("value"),
        color=_colour(runs),
        strokeDash=_split_dash(rows),
        detail=["run:N", "name:N"],
    )
    return chart


def _spread(
    rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes, ends: tuple[float, float]
) -> list[alt.Chart]:
    if "low" not in rows or rows["low"].isna().all():
        return []
    pooled = _slim(rows).assign(low=rows["low"].clip(*ends), high=rows["high"].clip(*ends))
    pooled = pooled.dropna(subset=["low", "high"])
    area = alt.Chart(pooled).mark_area(opacity=0.15, clip=True)
    chart: alt.Chart = area.encode(
        x=axes.x,
        y=axes.along("low"),
        y2="high:Q",
        color=_colour(runs),
        detail=["run:N", "name:N"],
        tooltip=alt.value(None),
    )
    return [chart]


def _smooth(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes) -> alt.Chart:
    line = alt.Chart(_slim(rows)).mark_line(strokeWidth=2, clip=True, invalid="break-paths-show-path-domains")
    chart: alt.Chart = line.encode(
        x=axes.x,
        y=axes.along("smooth"),
        color=_colour(runs),
        strokeDash=_split_dash(rows),
        detail=["run:N", "name:N"],
        tooltip=_tooltip(),
    )
    return chart


def _validation(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes) -> alt.Chart:
    return _points(rows[(rows["split"] != SPLITS[0]) & ~rows["broken"]], runs, axes)


def _sparse(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes) -> list[alt.Chart]:
    """A few markers on the whole lines too, where two runs have one colour."""
    if not share_a_colour(runs):
        return []
    training = rows[(rows["split"] == SPLITS[0]) & ~rows["broken"]]
    place, size = (training.groupby(["run", "name"])["step"].transform(f) for f in ("rank", "size"))
    stride = np.maximum(size // _MARKERS, 1)
    return [_points(training[place % stride == stride // 2], runs, axes)]


def _points(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes) -> alt.Chart:
    size = 70 if share_a_colour(runs) else 35
    points = alt.Chart(_slim(rows)).mark_point(filled=True, size=size, clip=True)
    chart: alt.Chart = points.encode(
        x=axes.x,
        y=axes.along("smooth"),
        color=_colour(runs),
        shape=run_shape(runs),
        tooltip=_tooltip(),
    )
    return chart


def _marks(rows: pd.DataFrame, axes: _Axes) -> alt.Chart:
    """What no line shows, where the curve was last seen."""
    known = {ABOVE: "triangle-up", NONFINITE: "cross"}
    present = [mark for mark in known if (rows["mark"] == mark).any()]
    scale = alt.Scale(domain=present, range=[known[mark] for mark in present])
    points = alt.Chart(_slim(rows).assign(seen=rows["seen"], mark=rows["mark"]))
    chart: alt.Chart = points.mark_point(size=120, strokeWidth=2, color=ALARM, filled=True).encode(
        x=axes.x,
        y=alt.Y("seen:Q"),
        shape=alt.Shape("mark:N", scale=scale, legend=mark_legend()),
        tooltip=_tooltip(),
    )
    return chart


def _slim(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[["run", "label", "name", "split", "step", "epoch", "seconds", "value", "smooth"]]
