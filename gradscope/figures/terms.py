"""Which term of the loss each layer learns from: shares of the gradient over depth."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from gradscope.figures.style import NEUTRAL, Figure, RunStyle, empty, labelled

_MOST = 1.5
"""A share beyond this is drawn at the edge: where terms nearly cancel, each is many times what is left of their sum."""


def term_shares(
    shares: pd.DataFrame, runs: Mapping[int, RunStyle], *, size: tuple[int, int] = (250, 150), columns: int = 3
) -> Figure:
    """Share of each term of the loss in every layer's gradient, a panel a run, a line a term.

    The shares of a layer add up to 1; a term below the line at zero pulls against the others there.

    Args:
        shares: `gradscope.store.read_terms.term_gradients`, or `gradscope.analysis.pooling.pooled_shares`.
        runs: the runs to draw; those without terms have no panel.
        size: width and height of a panel, in pixels.
        columns: panels beside each other.
    """
    title = "Share of each term of the loss in the gradient"
    rows = labelled(shares, runs)
    rows = rows[rows["share"].notna()]
    if rows.empty:
        return empty(title)
    low, high = max(-_MOST, min(0.0, rows["share"].min())), min(_MOST, max(1.0, rows["share"].max()))
    drawn = rows.assign(at=rows["share"].clip(low, high))[["label", "term", "layer", "name", "depth", "share", "at"]]
    panel = _panel(drawn, (low, high)).properties(width=size[0], height=size[1])
    order = [style.label for style in runs.values()]
    facet = panel.facet(facet=alt.Facet("label:N", sort=order, title=None), columns=columns)
    whole: Figure = (
        facet.properties(title=alt.TitleParams(title, anchor="start", offset=4))
        .configure_axis(titlePadding=6)
        .configure_legend(offset=6, padding=0, rowPadding=2, columnPadding=14, columns=6)
    )
    return whole


def _panel(rows: pd.DataFrame, ends: tuple[float, float]) -> alt.LayerChart:
    x = alt.X(
        "depth:Q",
        scale=alt.Scale(domain=[-0.02, 1.02], nice=False),
        axis=alt.Axis(title="depth: 0 input → 1 output", format=".1f", tickCount=5),
    )
    y = alt.Y("at:Q", scale=alt.Scale(domain=list(ends), nice=True), axis=alt.Axis(title="share", format="%"))
    colour = alt.Color(
        "term:N",
        sort=list(dict.fromkeys(rows["term"])),
        scale=alt.Scale(scheme="viridis"),
        legend=alt.Legend(title=None, orient="top", symbolSize=80, symbolStrokeWidth=2),
    )
    base = alt.Chart().encode(x=x, y=y, color=colour)
    zero = alt.Chart().mark_rule(color=NEUTRAL, strokeDash=[2, 3]).encode(y=alt.datum(0.0), tooltip=alt.value(None))
    tooltip = [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("term:N", title="term of the loss"),
        alt.Tooltip("share:Q", title="share", format=".1%"),
    ]
    lines = base.mark_line(strokeWidth=2)
    points = base.mark_point(filled=True, size=36, opacity=1).encode(tooltip=tooltip)
    return alt.LayerChart(layer=[zero, lines, points], data=rows)
