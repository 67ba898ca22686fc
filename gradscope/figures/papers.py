"""A paper's figures and ours, side by side."""

import altair as alt
import pandas as pd

from gradscope.figures.style import PALETTE, Figure, empty, finished

OURS, SEED, PUBLISHED = "ours: mean ± deviation", "ours: one seed", "published"
_MARKS = {OURS: (PALETTE[0], "circle"), PUBLISHED: (PALETTE[1], "diamond")}
_ROW = 26


def reproduction(summary: pd.DataFrame, seeds: pd.DataFrame, title: str) -> Figure:
    """A line an experiment: a diamond where the paper stands, a dot with its interval where we do, a tick a seed.

    Args:
        summary: title, published, mean, deviation (accuracies in 0..1, NaN where unknown) of each experiment.
        seeds: title, seed, accuracy of each completed run.
        title: the figure's title.
    """
    height = 60 + _ROW * len(summary)
    points = _points(summary, seeds)
    if points.empty:
        return empty(title, height)
    order = summary["title"].tolist()
    y = alt.Y(
        "title:N",
        sort=order,
        scale=alt.Scale(domain=order, padding=0.5),
        axis=alt.Axis(
            title="experiment",
            # above the labels, which are as wide as names of experiments are: beside them it would lie over them
            titleAngle=0,
            titleAlign="right",
            titleX=-8,
            titleY=-8,
            labelLimit=260,
            grid=True,
            ticks=False,
        ),
    )
    x = _x("accuracy")
    return finished(alt.layer(_intervals(points, y), _seeds(points, x, y), _marks(points, x, y)), title, height)


def _x(column: str) -> alt.X:
    axis = alt.Axis(title="test accuracy", format=".0%")
    return alt.X(f"{column}:Q", scale=alt.Scale(zero=False, nice=True), axis=axis)


def _points(summary: pd.DataFrame, seeds: pd.DataFrame) -> pd.DataFrame:
    ours = summary.rename(columns={"mean": "accuracy"}).assign(what=OURS)
    paper = summary.assign(accuracy=summary["published"], what=PUBLISHED, deviation=float("nan"))
    single = seeds.assign(what=SEED, deviation=float("nan"))
    columns = ["title", "what", "accuracy", "deviation"]
    return pd.concat([part[columns] for part in (single, ours, paper)], ignore_index=True).dropna(subset="accuracy")


def _intervals(points: pd.DataFrame, y: alt.Y) -> alt.Chart:
    """A deviation to both sides, within 0..1."""
    known = points.dropna(subset="deviation")
    low, high = known["accuracy"] - known["deviation"], known["accuracy"] + known["deviation"]
    rule = alt.Chart(known.assign(low=low.clip(lower=0.0), high=high.clip(upper=1.0)))
    chart: alt.Chart = rule.mark_rule(strokeWidth=2.5, color=PALETTE[0], opacity=0.7).encode(
        x=_x("low"), x2="high:Q", y=y, tooltip=_tooltip()
    )
    return chart


def _seeds(points: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    tick = alt.Chart(points[points["what"] == SEED]).mark_tick(color=PALETTE[0], opacity=0.6, size=14, thickness=1.5)
    chart: alt.Chart = tick.encode(x=x, y=y, tooltip=_tooltip())
    return chart


def _marks(points: pd.DataFrame, x: alt.X, y: alt.Y) -> alt.Chart:
    legend = alt.Legend(title=None, orient="top", direction="horizontal", symbolSize=90, labelLimit=220)
    colour = alt.Color(
        "what:N", scale=alt.Scale(domain=list(_MARKS), range=[c for c, _ in _MARKS.values()]), legend=legend
    )
    shape = alt.Shape(
        "what:N", scale=alt.Scale(domain=list(_MARKS), range=[s for _, s in _MARKS.values()]), legend=legend
    )
    marks = alt.Chart(points[points["what"] != SEED]).mark_point(filled=True, opacity=1, size=90)
    chart: alt.Chart = marks.encode(x=x, y=y, color=colour, shape=shape, tooltip=_tooltip())
    return chart


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("title:N", title="experiment"),
        alt.Tooltip("what:N", title="what"),
        alt.Tooltip("accuracy:Q", title="accuracy", format=".1%"),
        alt.Tooltip("deviation:Q", title="deviation", format=".1%"),
    ]
