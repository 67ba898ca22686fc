"""Runs less one of them: by how many decades each layer lies above or below the reference."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from gradscope.analysis.wording import significant
from gradscope.figures.decay import depth_axis
from gradscope.figures.style import (
    HEIGHT,
    NEUTRAL,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    run_colour,
    run_dash,
    run_shape,
)

_LEAST_DECADES = 1.0
"""To both sides at least: differences of a few per cent should look small."""


def decay_difference(
    difference: pd.DataFrame,
    runs: Mapping[int, RunStyle],
    reference: str,
    *,
    kind: str = "gradient",
    relative: bool = True,
    height: int = HEIGHT,
) -> Figure:
    """Decades above or below the reference against depth, a line a run; the reference is the line at zero.

    Args:
        difference: `gradscope.analysis.comparison.decay_difference`.
        runs: how each is drawn.
        reference: the label of the one that was subtracted.
        kind: what was measured.
        relative: depth as a share in 0..1, and not the layer's index.
        height: in pixels.
    """
    title = f"{kind.replace('_', ' ').capitalize()} less that of {reference}"
    rows = labelled(difference, runs)
    if rows.empty:
        return empty(title, height)
    rows = rows.assign(
        factor=(10.0 ** rows["decades"]).map(_times).astype("object"),
        rms_text=rows["rms"].map(significant).astype("object"),
    )
    low, high = (1.05 * float(end) for end in (rows["decades"].min(), rows["decades"].max()))
    y = alt.Y(
        "decades:Q",
        axis=alt.Axis(title="decades (1: ten times larger)"),
        scale=alt.Scale(domain=[min(-_LEAST_DECADES, low), max(_LEAST_DECADES, high)], nice=False),
    )
    x = depth_axis(rows, relative)
    base = alt.Chart(rows[["run", "label", "layer", "name", "depth", "decades", "factor", "rms_text"]])
    zero = alt.Chart(pd.DataFrame({"decades": [0.0]})).mark_rule(color=NEUTRAL, strokeWidth=1.5)
    lines = base.mark_line(strokeWidth=2).encode(
        x=x, y=y, color=run_colour(runs), strokeDash=run_dash(runs), detail="run:N"
    )
    points = base.mark_point(filled=True, size=50, opacity=1).encode(
        x=x, y=y, color=run_colour(runs), shape=run_shape(runs), tooltip=_tooltip(reference)
    )
    layers = alt.layer(zero.encode(y=y, tooltip=alt.value(reference)), lines, points).resolve_scale(shape="independent")
    return finished(layers, title, height, columns=3)


def _times(factor: float) -> str:
    return f"\N{MULTIPLICATION SIGN}{significant(factor)}"


def _tooltip(reference: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip("label:N", title="run"),
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("rms_text:N", title="RMS"),
        alt.Tooltip("factor:N", title=f"of {reference}"),
        alt.Tooltip("decades:Q", title="decades", format="+.2f"),
    ]
