"""What runs look at: a dot with its interval for each run and score."""

from collections.abc import Mapping, Sequence
from functools import partial

import altair as alt
import pandas as pd

from gradscope.analysis.scores import SCORES
from gradscope.figures.style import NEUTRAL, Figure, RunStyle, empty, finished, labelled, marked_colour, run_shape

ROW = 26
"""Pixels of a score's row, at least."""
FURNITURE = 100
"""Pixels of title, legend and axis, which count as height."""


def ends(summary: pd.DataFrame, scores: Sequence[str]) -> tuple[float, float]:
    """An axis that holds the intervals of these scores by every method, from 0 unless one is below."""
    rows = summary[summary["score"].isin(list(scores))]
    if rows.empty:
        return 0.0, 1.0
    low, high = float(rows["low"].min()), float(rows[["high", "even"]].max().max())
    return min(0.0, low), max(high, 0.05)


def score_dots(
    summary: pd.DataFrame,
    runs: Mapping[int, RunStyle],
    scores: Sequence[str],
    *,
    title: str,
    axis: str,
    span: tuple[float, float],
) -> Figure:
    """Means with 95 % intervals over the pictures; a grey tick is what a map of one value everywhere would score.

    Args:
        summary: `gradscope.overview.Overview.summary`, of one method.
        runs: the runs to draw.
        scores: names in `SCORES`, from above.
        title: of the figure.
        axis: what the axis says.
        span: of the axis; hand in one for figures that stand beside each other.
    """
    rows = labelled(summary[summary["score"].isin(list(scores))], runs)
    if rows.empty:
        return empty(title, 140)
    rows = rows.assign(what=rows["score"].map({name: score.title for name, score in SCORES.items()}))
    order = [SCORES[name].title for name in scores if name in set(rows["score"])]
    x = partial(alt.X, axis=alt.Axis(title=axis, tickCount=5), scale=alt.Scale(domain=list(span), nice=True))
    y = alt.Y("what:N", sort=order, title=None, axis=alt.Axis(labelLimit=130, domain=False, ticks=False, grid=True))
    offset = alt.YOffset("label:N", sort=[style.label for style in runs.values()])
    colour = marked_colour(runs)
    height = FURNITURE + len(order) * max(ROW, 12 * len(runs))
    base = alt.Chart(rows)
    parts = [
        base.mark_tick(color=NEUTRAL, thickness=2, size=ROW - 4).encode(x=x("even:Q"), y=y),
        base.mark_rule(strokeWidth=2).encode(x=x("low:Q"), x2="high:Q", y=y, yOffset=offset, color=colour),
        base.mark_point(filled=True, size=60, opacity=1).encode(
            x=x("mean:Q"),
            y=y,
            yOffset=offset,
            color=colour,
            shape=run_shape(runs),
            tooltip=_tooltip(),
        ),
    ]
    return finished(alt.layer(*parts), title, height, columns=3)


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("what:N", title="score"),
        alt.Tooltip("mean:Q", title="mean", format=".3f"),
        alt.Tooltip("low:Q", title="from", format=".3f"),
        alt.Tooltip("high:Q", title="to", format=".3f"),
        alt.Tooltip("n:Q", title="pictures", format="d"),
        alt.Tooltip("even:Q", title="even map", format=".3f"),
    ]
