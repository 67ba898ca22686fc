"""Pseudo-normalisation before training: the gain of each layer, and where on a map of scales it helps."""

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis.amplification import GAUSSIAN_SHARE
from gradscope.figures.style import NEUTRAL, PALETTE, Figure, finished

MAP_DECADES = 6
"""Colours end there: a signal of 10^-6 and one of 10^-60 are equally dead."""

NORMALISED, PLAIN = "normalised", "plain"
_MARKS = {NORMALISED: (PALETTE[1], "square"), PLAIN: (PALETTE[3], "circle")}
"""Those of the curves that they belong to."""


def layer_gains(layers: pd.DataFrame, height: int) -> Figure:
    """The gain 1 / RMS(f') that each hidden layer gives to the error, or would give.

    Args:
        layers: columns layer (from 0 at the input), gain, share, kind (NORMALISED or PLAIN).
        height: in pixels.
    """
    scale = alt.Scale(type="log", domainMin=1, nice=False)
    y = alt.Y("gain:Q", scale=scale, axis=alt.Axis(title="1 / RMS(f')", tickCount=4, format="~g"))
    return finished(_points(layers, y), "Gain of each layer", height)


def layer_shares(layers: pd.DataFrame, height: int) -> Figure:
    """Share of a layer's derivatives that exceed 1 once they are normalised, beside a Gaussian's."""
    y = alt.Y(
        "share:Q",
        scale=alt.Scale(domain=[0, 1]),
        axis=alt.Axis(title="share of units", format=".0%", values=[0, 0.5, 1]),
    )
    once = alt.Chart(layers).transform_filter("datum.layer == 0")
    rule = once.mark_rule(color=NEUTRAL, strokeDash=[4, 3])
    gaussian = rule.encode(y=alt.YDatum(GAUSSIAN_SHARE), tooltip=alt.value("a Gaussian: 31.7 %"))
    return finished(alt.layer(gaussian, _points(layers, y)), "Share of f'/RMS above 1 (dashed: Gaussian)", height)


def _points(layers: pd.DataFrame, y: alt.Y) -> alt.Chart:
    # by hand, lest a number beyond the last layer lies half outside of the picture
    apart = next(gap for gap in (1, 2, 5, 10, 20, 50) if len(layers) <= 11 * gap)
    x = alt.X(
        "layer:Q",
        axis=alt.Axis(title="layer: input → output", format="d", grid=False, values=list(range(0, len(layers), apart))),
        scale=alt.Scale(nice=False, padding=6),
    )
    colours, shapes = zip(*_MARKS.values(), strict=True)
    colour = alt.Color("kind:N", scale=alt.Scale(domain=list(_MARKS), range=list(colours)), legend=None)
    shape = alt.Shape("kind:N", scale=alt.Scale(domain=list(_MARKS), range=list(shapes)), legend=None)
    tooltip = [
        alt.Tooltip("layer:Q", title="layer", format="d"),
        alt.Tooltip("gain:Q", title="gain", format=".3g"),
        alt.Tooltip("share:Q", title="above 1", format=".1%"),
        alt.Tooltip("kind:N", title="with every second layer"),
    ]
    chart: alt.Chart = (
        alt.Chart(layers)
        .mark_point(filled=True, size=28, opacity=1)
        .encode(x=x, y=y, color=colour, shape=shape, tooltip=tooltip)
    )
    return chart


def map_cells(cells: pd.DataFrame) -> pd.DataFrame:
    """What `scale_map` draws of a table with weight_scale, bias_scale, decades (infinite where lost or exploded)."""
    return cells.assign(
        colour=cells["decades"].fillna(MAP_DECADES).clip(-MAP_DECADES, MAP_DECADES),
        text=[f"{d:+.1f}" if np.isfinite(d) else "beyond 300" for d in cells["decades"]],
    )


def scale_map(cells: pd.DataFrame, title: str, height: int, *, legend: bool) -> Figure:
    """Decades of the signal between the last hidden layer and the first, over weight scale and bias scale.

    A click selects a cell under the name `pick`, with its two scales. The cell with `here` set has a ring.

    Args:
        cells: columns weight_scale, bias_scale, colour, text, here.
        title: the figure's title.
        height: in pixels.
        legend: whether to explain the colours; one of several maps in a row does.
    """
    pick = alt.selection_point(name="pick", fields=["weight_scale", "bias_scale"], on="click")
    x = alt.X("weight_scale:O", axis=alt.Axis(title="weight scale", format=".2~f", labelAngle=0, labelOverlap=True))
    y = alt.Y("bias_scale:O", sort="descending", axis=alt.Axis(title="bias scale", format=".2~f", labelOverlap=True))
    colour = alt.Color(
        "colour:Q",
        scale=alt.Scale(scheme="blueorange", domain=[-MAP_DECADES, MAP_DECADES], domainMid=0),
        legend=_DECADES if legend else None,
    )
    tooltip = [
        alt.Tooltip("weight_scale:Q", title="weight scale"),
        alt.Tooltip("bias_scale:Q", title="bias scale"),
        alt.Tooltip("text:N", title="decades"),
    ]
    base = alt.Chart(cells).encode(x=x, y=y)
    rects = base.mark_rect(cursor="pointer").encode(color=colour, tooltip=tooltip).add_params(pick)
    at = base.transform_filter("datum.here").encode(tooltip=tooltip)
    ring = [at.mark_point(size=110, color=c, strokeWidth=w, opacity=1) for c, w in (("white", 5), ("black", 2))]
    return finished(alt.layer(rects, *ring), title, height)


_DECADES = alt.Legend(title="decades", orient="right", values=[-MAP_DECADES, -3, 0, 3, MAP_DECADES])
