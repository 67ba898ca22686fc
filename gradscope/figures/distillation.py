"""Students and teachers: angles between the terms of the loss over depth, and distance of the distributions."""

from collections.abc import Mapping

import altair as alt
import pandas as pd

from gradscope.figures.style import (
    NEUTRAL,
    SMALL_HEIGHT,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    marked_colour,
    run_shape,
)


def term_angles(cosines: pd.DataFrame, *, height: int = SMALL_HEIGHT) -> Figure:
    """Cosine between the gradients of every two terms over the depth of one network.

    Args:
        cosines: `gradscope.store.read_terms.term_cosines` of one run.
        height: in pixels.
    """
    title = "Cosine between the terms' gradients"
    rows = cosines[cosines["cosine"].notna()]
    if rows.empty:
        return empty(title, height)
    drawn = rows.assign(pair=rows["term"] + " and " + rows["other"])[["pair", "name", "depth", "cosine"]]
    x = alt.X(
        "depth:Q",
        scale=alt.Scale(domain=[-0.02, 1.02], nice=False),
        axis=alt.Axis(title="depth: 0 input → 1 output", format=".1f", tickCount=5),
    )
    y = alt.Y("cosine:Q", scale=alt.Scale(domain=[-1, 1]), axis=alt.Axis(title="cosine", values=[-1, -0.5, 0, 0.5, 1]))
    colour = alt.Color(
        "pair:N", scale=alt.Scale(scheme="viridis"), legend=alt.Legend(title=None, orient="top", labelLimit=220)
    )
    tooltip = [
        alt.Tooltip("pair:N", title="terms"),
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("cosine:Q", title="cosine", format=".2f"),
    ]
    base = alt.Chart(drawn).encode(x=x, y=y, color=colour)
    zero = alt.Chart().mark_rule(color=NEUTRAL, strokeDash=[2, 3]).encode(y=alt.datum(0.0), tooltip=alt.value(None))
    points = base.mark_point(filled=True, size=36, opacity=1).encode(tooltip=tooltip)
    return finished(
        alt.LayerChart(layer=[zero, base.mark_line(strokeWidth=2), points], data=drawn), title, height, columns=2
    )


def divergences(found: pd.DataFrame, runs: Mapping[int, RunStyle], *, height: int = SMALL_HEIGHT) -> Figure:
    """KL(teacher || student) over the temperature, a line a student.

    Args:
        found: `gradscope.analysis.distillation.by_temperature`.
        runs: the students to draw.
        height: in pixels.
    """
    title = "Distance from the teacher's answers"
    rows = labelled(found, runs)
    if rows.empty:
        return empty(title, height)
    known = sorted(rows["temperature"].unique())
    x = alt.X(
        "temperature:Q",
        scale=alt.Scale(type="log", base=2, nice=False, padding=12),
        axis=alt.Axis(title="temperature", values=known, format="~g", grid=False),
    )
    y = alt.Y("divergence:Q", scale=alt.Scale(zero=True), axis=alt.Axis(title="KL divergence (nats)", format="~g"))
    tooltip = [
        alt.Tooltip("label:N", title="student"),
        alt.Tooltip("temperature:Q", title="temperature", format="~g"),
        alt.Tooltip("divergence:Q", title="KL (nats)", format=".3g"),
    ]
    base = alt.Chart(rows).encode(x=x, y=y, color=marked_colour(runs))
    points = base.mark_point(filled=True, size=50, opacity=1).encode(shape=run_shape(runs), tooltip=tooltip)
    return finished(alt.layer(base.mark_line(strokeWidth=2), points), title, height, columns=3)
