"""Every layer of a run over its steps."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from gradscope.analysis.wording import significant
from gradscope.figures.decay import UNITS
from gradscope.figures.style import (
    ALARM,
    HEIGHT,
    NEUTRAL,
    NONFINITE,
    VALUE,
    ZERO,
    Figure,
    empty,
    finished,
    log_axis,
    log_span,
    mark_legend,
    on_log_axis,
    ticks,
)
from gradscope.records import Kind


def layer_map(
    statistics: pd.DataFrame,
    *,
    kind: Kind = Kind.GRADIENT,
    span: tuple[int, int] | None = None,
    layer: int | None = None,
    step: int | None = None,
    height: int = HEIGHT,
    title: str | None = None,
) -> Figure:
    """A heatmap, layers from the input (below) to the output (above) over steps, coloured by log10 RMS.

    What was not recorded stays blank; an RMS of exactly zero is grey, values that are not finite are red. A click on a
    cell selects its layer under the name `pick`.

    Args:
        statistics: `gradscope.store.read.layer_map` of one run.
        kind: what was measured.
        span: decades of the colour scale; hand in one for all runs that stand beside each other.
        layer: the layer to point out.
        step: the step to point out.
        height: in pixels.
        title: the figure's title.
    """
    text = title if title is not None else f"{kind.value.capitalize()} of every layer over the steps"
    rows = on_log_axis(statistics)
    if rows.empty:
        return empty(text, height)
    cells = _cells(rows)
    parts = [_values(cells[cells["mark"] == VALUE], span or log_span([rows]), kind)]
    if (cells["mark"] != VALUE).any():
        parts.append(_specials(cells[cells["mark"] != VALUE], kind))
    if layer is not None:
        parts.append(_layer_rule(layer, cells))
    if step is not None:
        parts.append(_step_rule(step))
    return finished(alt.layer(*parts).resolve_scale(color="independent"), text, height)


def _cells(rows: pd.DataFrame) -> pd.DataFrame:
    """Each record fills the time until the next one, and a half of its layer's place on either side."""
    steps = sorted(rows["step"].unique())
    width = steps[-1] - steps[-2] if len(steps) > 1 else 1
    after = dict(zip(steps, [*steps[1:], steps[-1] + width], strict=True))
    cells = rows[["step", "layer", "name", "rms", "log", "mark"]]
    return cells.assign(
        until=cells["step"].map(after),
        low=cells["layer"] - 0.5,
        top=cells["layer"] + 0.5,
        rms_text=cells["rms"].map(significant).astype("object"),
    )


def _x() -> alt.X:
    return alt.X("step:Q", axis=alt.Axis(title="step", format="~s", tickMinStep=1), scale=alt.Scale(nice=False))


def _y(cells: pd.DataFrame) -> alt.Y:
    last = int(cells["layer"].max())
    stride = max(1, round((last + 1) / 12))
    axis = alt.Axis(title="layer: input ↓    output ↑", values=_strided(last, stride), format="d", grid=False)
    return alt.Y("low:Q", axis=axis, scale=alt.Scale(domain=[-0.5, last + 0.5], nice=False, zero=False))


def _strided(last: int, stride: int) -> Sequence[int]:
    return list(range(0, last + 1, stride))


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("step:Q", title="step", format=",d"),
        alt.Tooltip("rms_text:N", title="RMS"),
        alt.Tooltip("mark:N", title="kind of value"),
    ]


def _values(cells: pd.DataFrame, span: tuple[int, int], kind: Kind) -> alt.Chart:
    low, high = span
    texts = log_axis(ticks(low, high, at_most=6), "")
    legend = alt.Legend(
        title=UNITS[kind],
        titleLimit=300,
        titleOrient="right",
        gradientLength=alt.ExprRef("height - 10"),
        values=texts.values,
        labelExpr=texts.labelExpr,
    )
    colour = alt.Color("log:Q", scale=alt.Scale(scheme="viridis", domain=[low, high], clamp=True), legend=legend)
    pick = alt.selection_point(name="pick", fields=["layer"])
    mark = alt.Chart(cells).mark_rect(cursor="pointer")
    chart: alt.Chart = mark.encode(
        x=_x(), x2="until:Q", y=_y(cells), y2="top:Q", color=colour, tooltip=_tooltip()
    ).add_params(pick)
    return chart


def _specials(cells: pd.DataFrame, kind: Kind) -> alt.Chart:
    scale = alt.Scale(domain=[ZERO, NONFINITE], range=[NEUTRAL, ALARM])
    colour = alt.Color("mark:N", scale=scale, legend=mark_legend())
    chart: alt.Chart = (
        alt.Chart(cells)
        .mark_rect()
        .encode(x=_x(), x2="until:Q", y=alt.Y("low:Q"), y2="top:Q", color=colour, tooltip=_tooltip())
    )
    return chart


def _layer_rule(layer: int, cells: pd.DataFrame) -> alt.Chart:
    frame = pd.DataFrame(
        {"step": [cells["step"].min()], "until": [cells["until"].max()], "low": [layer - 0.5], "top": [layer + 0.5]}
    )
    mark = alt.Chart(frame).mark_rect(filled=False, stroke=ALARM, strokeWidth=1.5)
    chart: alt.Chart = mark.encode(x="step:Q", x2="until:Q", y="low:Q", y2="top:Q")
    return chart


def _step_rule(step: int) -> alt.Chart:
    rule = alt.Chart(pd.DataFrame({"step": [step]})).mark_rule(color=ALARM, strokeDash=[4, 3])
    chart: alt.Chart = rule.encode(x="step:Q")
    return chart
