"""The gradient (or signal, or activation) of every layer of some runs at one step."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis import decay
from gradscope.analysis.labels import short_names
from gradscope.analysis.wording import significant
from gradscope.figures.style import (
    HEALTHY,
    HEIGHT,
    NEUTRAL,
    NONFINITE,
    VALUE,
    ZERO,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    log_axis,
    log_span,
    mark_legend,
    on_log_axis,
    run_colour,
    run_dash,
    run_shape,
    ticks,
)
from gradscope.records import Kind

UNITS = {
    Kind.GRADIENT: "RMS of dL/dW (nats per unit weight)",
    Kind.RAW_GRADIENT: "RMS of dL/dW before methods (nats per unit weight)",
    Kind.SIGNAL: "RMS of dL/d(output) (nats per unit output)",
    Kind.ACTIVATION: "RMS of the layer's output",
    Kind.WEIGHT: "RMS of the weights",
    Kind.UPDATE: "RMS of the update",
}

_NAMES_FIT = 12
_LETTERS_FIT = 14


@dataclass(frozen=True, kw_only=True)
class _Axes:
    x: alt.X
    y: alt.Y


def gradient_decay(
    profile: pd.DataFrame,
    runs: Mapping[int, RunStyle],
    *,
    kind: Kind = Kind.GRADIENT,
    relative: bool = False,
    span: tuple[int, int] | None = None,
    height: int = HEIGHT,
    title: str | None = None,
) -> Figure:
    """RMS on a log axis against depth, input at the left, a line a run.

    A layer whose RMS is exactly zero stands on a floor line below the axis, one with values that are not finite on a
    line below that. The band is healthy: within a factor of ten of the median run's output layer. While the pointer is
    on a point, the line fitted to its run is seen. A click on a point selects it under the name `pick`, with its run
    and layer.

    Args:
        profile: `gradscope.store.read.profile`, or `gradscope.analysis.pooling.pooled_profile`, whose least and
            greatest RMS of a group are drawn as a pale band.
        runs: the runs to draw.
        kind: what was measured.
        relative: depth as a share in 0..1, so that networks of different depth lie over each other.
        span: decades of the axis; those of the profile by default. Hand it in to keep the axis still from step to step.
        height: in pixels.
        title: the figure's title; the kind by default.
    """
    text = title if title is not None else f"{kind.value.replace('_', ' ').capitalize()} of every layer"
    rows = on_log_axis(labelled(profile, runs))
    if rows.empty:
        return empty(text, height)
    low, high = span or log_span([rows])
    floor, pit = low - 0.4, low - 0.8
    rows["at"] = rows["log"].where(rows["mark"] == VALUE, np.where(rows["mark"] == ZERO, floor, pit))
    special = set(rows["mark"]) - {VALUE}
    bottom = pit - 0.2 if special else low
    titles = UNITS[kind] if height >= HEIGHT else UNITS[kind].replace(" (", "\n(").split("\n")
    scale = alt.Scale(domain=[bottom, high], nice=False, zero=False)
    axes = _Axes(x=depth_axis(rows, relative), y=alt.Y("at:Q", scale=scale, axis=log_axis(ticks(low, high), titles)))
    rows, fits = _fitted(rows)
    hovered = alt.selection_point(name="hover", fields=["run"], on="pointerover", clear="pointerout", empty=False)
    parts = [
        *_band(rows, low, high, axes),
        *_spread(rows, runs, axes, low),
        _fits(labelled(fits, runs), runs, axes, hovered),
        _lines(rows, runs, axes),
        _points(rows, runs, axes).add_params(hovered),
    ]
    if special:
        parts += [_floors(floor, pit), _specials(rows, runs, axes)]
    columns = 5 if height >= HEIGHT else 3
    return finished(alt.layer(*parts).resolve_scale(shape="independent"), text, height, columns=columns)


def depth_axis(rows: pd.DataFrame, relative: bool) -> alt.X:
    """Layers from input to output: by index, or as a share of the depth. Columns needed: layer, name, depth."""
    if relative:
        tenths = [i / 10 for i in range(11)]
        axis = alt.Axis(values=tenths, format=".1f", title="depth: 0 input → 1 output      (the gradient flows ←)")
        return alt.X("depth:Q", scale=alt.Scale(domain=[-0.02, 1.02], nice=False), axis=axis)
    last = int(rows["layer"].max())
    names = dict(zip(rows["layer"], rows["name"], strict=True))
    shown = len(names) <= _NAMES_FIT and len(set(zip(rows["layer"], rows["name"], strict=True))) == len(names)
    values = list(range(0, last + 1, 1 if last < 16 else 2 if last < 32 else 5 if last < 80 else 10))
    labels = short_names(list(names.values()))
    texts = ", ".join(f"'{i}': {_text(labels[names[i]] if i in names else str(i))}" for i in values)
    axis = alt.Axis(
        title="layer: input → output      (the gradient flows ←)",
        values=values,
        labelExpr=f"{{{texts}}}[datum.value]" if shown else alt.Undefined,
        format="d",
        labelAngle=0,
        labelOverlap=True,
        grid=False,
    )
    return alt.X("layer:Q", scale=alt.Scale(domain=[-0.3, last + 0.3], nice=False, zero=False), axis=axis)


def _text(label: str) -> str:
    """A label as a literal of a Vega expression, cut to what fits."""
    cut = label if len(label) <= _LETTERS_FIT else label[: _LETTERS_FIT - 1] + "…"
    return json.dumps(cut, ensure_ascii=False)


def _fitted(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows with each run's fit in words, and the ends (and the knee) of its fitted line."""
    words, ends = {}, []
    for run, own in rows.groupby("run"):
        found = decay.of_profile(own)
        words[run] = decay.in_words(found, dict(zip(own["layer"], own["name"], strict=True)))
        first, last = float(own["layer"].min()), float(own["layer"].max())
        depth = float(own["depth"].max()) / max(last, 1.0)
        ends += [(run, layer, layer * depth, at) for layer, at in decay.bends(found, first, last)]
    return rows.assign(fit=rows["run"].map(words)), pd.DataFrame(ends, columns=["run", "layer", "depth", "at"])


def _fits(fits: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes, hovered: alt.Parameter) -> alt.Chart:
    mark = alt.Chart(fits).mark_line(strokeWidth=1.5, strokeDash=[2, 3], clip=True)
    seen = alt.condition(hovered, alt.value(1), alt.value(0))
    chart: alt.Chart = mark.encode(x=axes.x, y=axes.y, color=run_colour(runs), opacity=seen)
    return chart


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("step:Q", title="step", format=",d"),
        alt.Tooltip("rms_text:N", title="RMS"),
        alt.Tooltip("fit:N", title="fitted line"),
        alt.Tooltip("largest_text:N", title="largest"),
        alt.Tooltip("zero_share:Q", title="exact zeros", format=".1%"),
        alt.Tooltip("nonfinite:Q", title="not finite", format="d"),
    ]


def _drawn(rows: pd.DataFrame) -> pd.DataFrame:
    columns = ["run", "label", "layer", "name", "depth", "step", "rms", "max_abs", "log", "at", "mark", "fit"]
    return rows[columns].assign(
        zero_share=rows["zeros"] / rows["n"],
        nonfinite=rows[["nan", "pos_inf", "neg_inf"]].sum(axis=1),
        rms_text=rows["rms"].map(significant).astype("object"),
        largest_text=rows["max_abs"].map(significant).astype("object"),
    )


def _lines(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes) -> alt.Chart:
    # a null breaks the line where a layer has no place on the axis
    drawn = _drawn(rows).assign(at=rows["at"].where(rows["mark"] == VALUE))
    mark = alt.Chart(drawn).mark_line(strokeWidth=2, invalid="break-paths-show-path-domains")
    chart: alt.Chart = mark.encode(
        x=axes.x, y=axes.y, color=run_colour(runs), strokeDash=run_dash(runs), detail="run:N"
    )
    return chart


def _points(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes) -> alt.Chart:
    pick = alt.selection_point(name="pick", fields=["run", "layer"])
    drawn = _drawn(rows[rows["mark"] == VALUE])
    points = alt.Chart(drawn).mark_point(filled=True, size=60, opacity=1, cursor="pointer")
    chart: alt.Chart = points.encode(
        x=axes.x, y=axes.y, color=run_colour(runs), shape=run_shape(runs), tooltip=_tooltip()
    ).add_params(pick)
    return chart


def _band(rows: pd.DataFrame, low: int, high: int, axes: _Axes) -> list[alt.Chart]:
    """Within a factor of ten of the output layer's level, the median over the runs."""
    levels = rows[rows["mark"] == VALUE].sort_values("layer").groupby("run")["log"].last()
    if levels.empty:
        return []
    middle = float(levels.median())
    band = pd.DataFrame({"at": [max(low, middle - 1)], "upper": [min(high, middle + 1)]})
    rule = alt.Chart(band).mark_rect(color=HEALTHY, opacity=0.1)
    return [
        rule.encode(y=axes.y, y2="upper:Q", tooltip=alt.value("healthy: within a factor of ten of the output layer"))
    ]


def _spread(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes, floor: int) -> list[alt.Chart]:
    """From the least to the greatest of the runs that are pooled into one line; nothing where none are."""
    if "low" not in rows or rows["low"].isna().all():
        return []
    # log10 of nothing has no place: the band ends at the axis, as the line does
    ends = {side: np.log10(rows[side].clip(lower=10.0**floor)) for side in ("low", "high")}
    pooled = rows[rows["low"].notna()][["run", "label", "layer", "depth"]].assign(at=ends["low"], upper=ends["high"])
    area = alt.Chart(pooled).mark_area(opacity=0.18, clip=True)
    chart: alt.Chart = area.encode(
        x=axes.x, y=axes.y, y2="upper:Q", color=run_colour(runs), detail="run:N", tooltip=alt.value(None)
    )
    return [chart]


def _floors(floor: float, pit: float) -> alt.Chart:
    lines = pd.DataFrame({"at": [floor, pit]})
    chart: alt.Chart = alt.Chart(lines).mark_rule(color=NEUTRAL, strokeDash=[2, 4], opacity=0.6).encode(y="at:Q")
    return chart


def _specials(rows: pd.DataFrame, runs: Mapping[int, RunStyle], axes: _Axes) -> alt.Chart:
    shape = alt.Shape(
        "mark:N", scale=alt.Scale(domain=[ZERO, NONFINITE], range=["triangle-down", "cross"]), legend=mark_legend()
    )
    points = alt.Chart(_drawn(rows[rows["mark"] != VALUE])).mark_point(size=90, strokeWidth=2, filled=False)
    chart: alt.Chart = points.encode(x=axes.x, y=axes.y, color=run_colour(runs), shape=shape, tooltip=_tooltip())
    return chart
