"""Elastic networks: accuracy against cost, exits over the training, who leaves where, gradients by exit."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from gradscope.figures.style import (
    HEIGHT,
    NEUTRAL,
    PALETTE,
    SMALL_HEIGHT,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    mark_legend,
    run_colour,
)

COSTS = {
    "macs": "multiply-accumulates a picture",
    "parameters": "parameters up to the exit",
    "milliseconds": "milliseconds a picture, measured",
}
"""What the horizontal axis says."""
TITLES = {"accuracy": "Accuracy", "loss": "Loss", "calibration_error": "Calibration error"}
AXES = {"accuracy": "validation accuracy", "loss": "validation loss (nats)", "calibration_error": "expected error"}
RAMP = ["#3f90da", "#9a4fd0", "#e76300"]
"""From the first exit to the last; each to be read on white and on near-black."""
EXIT, SURE, PLAIN = "an exit, for all pictures", "leaving when sure", "network without exits"
_MARKS = {EXIT: "circle", SURE: "cross", PLAIN: "diamond"}


def trade_off(
    exits: pd.DataFrame,
    sweeps: pd.DataFrame,
    runs: Mapping[int, RunStyle],
    *,
    cost: str = "macs",
    rule: str = "confidence",
    height: int = HEIGHT,
) -> Figure:
    """Test accuracy against cost: a line through the exits of a run, a dashed one for leaving when sure.

    A network without exits is a diamond.

    Args:
        exits: `gradscope.store.read_exits.exits`.
        sweeps: `gradscope.store.read_exits.sweeps`; has no parameters.
        runs: the runs to draw.
        cost: a key of COSTS.
        rule: which of the sweeps.
        height: in pixels.
    """
    title = f"Accuracy against {COSTS[cost]}"
    points = labelled(exits, runs)
    if points.empty:
        return empty(title, height)
    measured = {run: look for run, look in runs.items() if (points["run"] == run).any()}
    alone = points.groupby("run")["exit"].transform("max") == 1
    points = points.assign(mark=alone.map({True: PLAIN, False: EXIT}).astype("object"))
    known = labelled(sweeps[sweeps["rule"] == rule], runs) if cost in sweeps else sweeps.iloc[:0].assign(label="")
    parts = [_line(points[~alone], cost, measured, [1, 0]), _line(known, cost, measured, [5, 4])]
    marks = [_points(points, cost, measured), _points(known.assign(mark=SURE), cost, measured)]
    whole = alt.layer(*(part for part in [*parts, *marks] if len(part.data)))
    return finished(whole.resolve_scale(shape="shared"), title, height)


def _x(cost: str) -> alt.X:
    axis = alt.Axis(title=COSTS[cost], format="~s" if cost != "milliseconds" else "~g")
    return alt.X(f"{cost}:Q", scale=alt.Scale(zero=True, nice=True), axis=axis)


def _y() -> alt.Y:
    return alt.Y("accuracy:Q", scale=alt.Scale(zero=False, nice=True), axis=alt.Axis(title="test accuracy", format="%"))


def _line(rows: pd.DataFrame, cost: str, runs: Mapping[int, RunStyle], dash: list[int]) -> alt.Chart:
    columns = [name for name in ("run", "label", "exit", "threshold", cost, "accuracy") if name in rows]
    order = "exit:Q" if "exit" in rows else f"{cost}:Q"
    line = alt.Chart(rows[columns]).mark_line(strokeWidth=1.5, strokeDash=dash, opacity=0.8)
    chart: alt.Chart = line.encode(x=_x(cost), y=_y(), color=run_colour(runs), detail="run:N", order=order)
    return chart


def _points(rows: pd.DataFrame, cost: str, runs: Mapping[int, RunStyle]) -> alt.Chart:
    told = {"label": "run", "exit": "exit", "point": "behind", "rule": "rule", "threshold": "threshold"}
    columns = [name for name in (*told, "mark", *COSTS, "accuracy", "calibration_error") if name in rows]
    legend = mark_legend()
    legend.symbolFillColor = legend.symbolStrokeColor = NEUTRAL
    shape = alt.Shape("mark:N", scale=alt.Scale(domain=list(_MARKS), range=list(_MARKS.values())), legend=legend)
    tooltip = [alt.Tooltip(f"{name}", title=text) for name, text in told.items() if name in rows]
    numbers = {
        "accuracy": ".1%",
        "macs": ".3~s",
        "parameters": ".3~s",
        "milliseconds": ".3~g",
        "calibration_error": ".1%",
    }
    tooltip += [alt.Tooltip(f"{name}:Q", format=form) for name, form in numbers.items() if name in rows]
    marks = alt.Chart(rows[columns].reset_index(drop=True)).mark_point(filled=True, size=75, opacity=1)
    chart: alt.Chart = marks.encode(x=_x(cost), y=_y(), color=run_colour(runs), shape=shape, tooltip=tooltip)
    return chart


def exit_curves(curves: pd.DataFrame, what: str, *, height: int = SMALL_HEIGHT) -> Figure:
    """One figure of every exit of a run over the training, blue for the exit nearest to the input, orange for the last.

    Args:
        curves: `gradscope.analysis.exits.by_exit`, of one run.
        what: accuracy, loss or calibration_error.
        height: in pixels.
    """
    title = f"{TITLES[what]} of every exit"
    rows = curves[curves["value"].notna()]
    if rows.empty:
        return empty(title, height)
    axis = alt.Axis(title=AXES[what], format=".3~g" if what == "loss" else "%")
    base = alt.Chart(rows[["exit", "epoch", "step", "value"]]).encode(
        x=alt.X("epoch:Q", axis=alt.Axis(title="epoch", tickMinStep=1), scale=alt.Scale(nice=False, zero=False)),
        y=alt.Y("value:Q", axis=axis, scale=alt.Scale(zero=False)),
        color=_exit_colour(rows),
        tooltip=[
            alt.Tooltip("exit:O", title="exit"),
            alt.Tooltip("epoch:Q", title="epoch", format=".3~g"),
            alt.Tooltip("value:Q", title=TITLES[what].lower(), format=".3~g" if what == "loss" else ".1%"),
        ],
    )
    return finished(alt.layer(base.mark_line(strokeWidth=2), base.mark_point(filled=True, size=30)), title, height)


def _exit_colour(rows: pd.DataFrame) -> alt.Color:
    last = int(rows["exit"].max())
    legend = alt.Legend(title=None, orient="top", values=sorted({1, last}), gradientLength=90, gradientThickness=8)
    legend.labelExpr = "'exit ' + format(datum.value, 'd')"
    return alt.Color("exit:Q", scale=alt.Scale(domain=[1, (1 + last) / 2, max(last, 2)], range=RAMP), legend=legend)


def leaving(found: pd.DataFrame, *, height: int = SMALL_HEIGHT) -> Figure:
    """How many pictures leave at each exit, and the accuracy of the answers given there beside the last exit's.

    Args:
        found: `gradscope.analysis.exits.leavers`.
        height: in pixels.
    """
    title = "Who leaves where"
    if found.empty:
        return empty(title, height)
    x, tooltip = alt.X("exit:O", axis=alt.Axis(title="exit", labelAngle=0, grid=False)), _leavers_tooltip()
    y = alt.Y("share:Q", axis=alt.Axis(title="share of the pictures", format="%"), scale=alt.Scale(domain=[0, 1]))
    bars = alt.Chart(found).mark_bar(opacity=0.55, color=NEUTRAL).encode(x=x, y=y, tooltip=tooltip)
    marks = {"answered there": ("accuracy", "circle", PALETTE[0]), "last exit on them": ("last", "cross", PALETTE[6])}
    long = pd.concat(
        [found.assign(value=found[column], mark=text) for text, (column, *_) in marks.items()], ignore_index=True
    ).dropna(subset="value")
    scales = [alt.Scale(domain=list(marks), range=[of[i] for of in marks.values()]) for i in (1, 2)]
    right = alt.Chart(long).mark_point(filled=True, size=90, opacity=1)
    points = right.encode(
        x=x,
        y=alt.Y("value:Q"),
        shape=alt.Shape("mark:N", scale=scales[0], legend=mark_legend()),
        color=alt.Color("mark:N", scale=scales[1], legend=mark_legend()),
        tooltip=tooltip,
    )
    return finished(alt.layer(bars, points), title, height, columns=2)


def _leavers_tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("exit:O", title="exit"),
        alt.Tooltip("pictures:Q", title="pictures", format=",d"),
        alt.Tooltip("share:Q", title="of all", format=".1%"),
        alt.Tooltip("accuracy:Q", title="right there", format=".1%"),
        alt.Tooltip("last:Q", title="the last exit on them", format=".1%"),
    ]


def exit_map(rows: pd.DataFrame, column: str, title: str, *, height: int = SMALL_HEIGHT) -> Figure:
    """A number of every exit in every layer, as a map: layers from the input, exits from below.

    Args:
        rows: exit, layer, name and the column; of one run.
        column: `share` or `cosine`.
        title: the figure's title.
        height: in pixels.
    """
    known = rows[rows[column].notna()]
    if known.empty:
        return empty(title, height)
    of_axis, of_value = ("%", ".1%") if column == "share" else ("~g", ".2f")
    colour = alt.Color(
        f"{column}:Q",
        scale=alt.Scale(scheme="blueorange", domain=[-1, 1], clamp=True, domainMid=0),
        legend=alt.Legend(title=None, orient="right", format=of_axis, gradientLength=height - 60),
    )
    cells = alt.Chart(known.assign(exit=known["exit"].astype(int))[["exit", "layer", "name", column]]).mark_rect()
    drawn = cells.encode(
        x=alt.X("layer:O", axis=alt.Axis(title="layer", labelAngle=0, labelOverlap=True, grid=False)),
        y=alt.Y("exit:O", sort="descending", axis=alt.Axis(title="exit", grid=False)),
        color=colour,
        tooltip=[
            alt.Tooltip("exit:O", title="exit"),
            alt.Tooltip("layer:O", title="layer"),
            alt.Tooltip("name:N", title="name"),
            alt.Tooltip(f"{column}:Q", format=of_value),
        ],
    )
    return finished(drawn, title, height)
