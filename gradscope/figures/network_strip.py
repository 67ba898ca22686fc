"""The network from input to output, a cell a layer, coloured by health, over the training."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis.findings.finding import Finding, Severity
from gradscope.analysis.findings.health import CRITICAL, HEALTHY, NOTED, WARNING
from gradscope.figures import style
from gradscope.figures.style import ALARM, PALETTE, SMALL_HEIGHT, Figure, empty, finished

COLOURS = {HEALTHY: style.HEALTHY, NOTED: "#7dbf8b", WARNING: "#f0a000", CRITICAL: ALARM}
SIGNS = {HEALTHY: "✓", NOTED: "·", WARNING: "!", CRITICAL: "✕"}
"""So that nobody has to tell red from green."""

_WORDS = {Severity.NOTE: NOTED, Severity.WARNING: WARNING, Severity.CRITICAL: CRITICAL}

_NARROWEST = 0.25
"""Width of the smallest layer, as a share of that of an average one."""

_NOW_GAP, _NOW_HEIGHT = 0.05, 0.18
"""Of the band that shows how it is now, above the others, as shares of the time."""

_NOTHING = "nothing found"

_SIGN_FITS = 0.012
"""Share of the figure's width below which a cell has no room for a sign."""


def network_strip(
    health: pd.DataFrame,
    *,
    findings: Sequence[Finding] | None = None,
    layer: int | None = None,
    height: int = SMALL_HEIGHT,
) -> Figure:
    """Layers from the input (left) to the output (right), wide as their share of the parameters, over the steps.

    The band above is how it is now, with a sign in each cell. A layer of few parameters is widened to be seen. A click
    on a cell selects its layer under the name `pick`.

    Args:
        health: `gradscope.analysis.findings.health.health`.
        findings: what is said of the run now. It may know more than the last record: a value that stopped being finite
            between two records is known from the step itself. By default the band shows the last record again.
        layer: the layer to point out.
        height: in pixels.
    """
    title = "Health of each layer over the training"
    if health.empty:
        return empty(title, height)
    cells = _cells(health)
    now = _now(cells)
    if findings is not None:
        now = _told(now, findings)
    parts = [_rects(pd.concat([cells, now]), cells), _borders(now), _signs(now)]
    if layer is not None:
        parts.append(_outline(now[now["layer"] == layer]))
    return finished(alt.layer(*parts), title, height)


def _now(cells: pd.DataFrame) -> pd.DataFrame:
    """The last record once more, as a band above all others."""
    end, length = float(cells["until"].max()), float(cells["until"].max() - cells["at"].min())
    last: pd.DataFrame = cells[cells["step"] == cells["step"].max()]
    return last.assign(at=end + _NOW_GAP * length, until=end + (_NOW_GAP + _NOW_HEIGHT) * length)


def _told(now: pd.DataFrame, findings: Sequence[Finding]) -> pd.DataFrame:
    """The band with what the findings that go on say of each layer."""
    going_on = [finding for finding in findings if finding.until is None]
    found = {layer: [f for f in going_on if layer in f.layers] for layer in now["layer"]}
    worst = {layer: max((f.severity for f in own), key=lambda s: s.rank) for layer, own in found.items() if own}
    health = now["layer"].map({layer: _WORDS[worst[layer]] if layer in worst else HEALTHY for layer in found})
    why = {layer: ", ".join(f.name.replace("_", " ") for f in own) or _NOTHING for layer, own in found.items()}
    step = max([int(now["step"].max()), *(finding.since for finding in going_on)])
    return now.assign(step=step, health=health, why=now["layer"].map(why), sign=health.map(SIGNS))


def _cells(health: pd.DataFrame) -> pd.DataFrame:
    """Each layer's left and right end in 0..1, each record's time until the next one."""
    layers = health.drop_duplicates("layer").sort_values("layer")
    share = layers["n_weights"].to_numpy(dtype=np.float64) / max(float(layers["n_weights"].sum()), 1.0)
    width = np.maximum(share, _NARROWEST / len(layers))
    right = np.cumsum(width / width.sum())
    ends = dict(zip(layers["layer"], zip(np.concatenate([[0.0], right[:-1]]), right, strict=True), strict=True))
    steps = sorted(health["step"].unique())
    length = max(1, round((steps[-1] - steps[0]) / max(len(steps) - 1, 1)))
    after = dict(zip(steps, [*steps[1:], steps[-1] + length], strict=True))
    return health.assign(
        left=health["layer"].map({i: a for i, (a, _) in ends.items()}),
        right=health["layer"].map({i: b for i, (_, b) in ends.items()}),
        at=health["step"].astype(float),
        until=health["step"].map(after).astype(float),
        why=health["why"].where(health["why"] != "", _NOTHING),
        sign=health["health"].map(SIGNS),
    )


def _x() -> alt.X:
    axis = alt.Axis(
        title="input →  layers, as wide as their parameters  → output", labels=False, ticks=False, grid=False
    )
    return alt.X("left:Q", axis=axis, scale=alt.Scale(domain=[0, 1], nice=False))


def _rects(everything: pd.DataFrame, past: pd.DataFrame) -> alt.Chart:
    present = [h for h in COLOURS if h in set(everything["health"])]
    scale = alt.Scale(domain=present, range=[COLOURS[h] for h in present])
    legend = alt.Legend(title=None, orient="top", symbolType="square", symbolOpacity=1)
    tooltip = [
        alt.Tooltip("name:N", title="layer"),
        alt.Tooltip("step:Q", title="at step", format=",d"),
        alt.Tooltip("health:N", title="health"),
        alt.Tooltip("why:N", title="found"),
        alt.Tooltip("n_weights:Q", title="parameters", format=",d"),
    ]
    pick = alt.selection_point(name="pick", fields=["layer"])
    mark = alt.Chart(everything).mark_rect(cursor="pointer")
    chart: alt.Chart = mark.encode(
        x=_x(),
        x2="right:Q",
        y=_y(everything, past),
        y2="until:Q",
        color=alt.Color("health:N", scale=scale, legend=legend),
        tooltip=tooltip,
    ).add_params(pick)
    return chart


def _y(everything: pd.DataFrame, past: pd.DataFrame) -> alt.Y:
    """Steps, and the word now beside the band above them."""
    first, last, top = float(past["at"].min()), float(past["at"].max()), float(everything["until"].max())
    middle = float(everything["at"].max() + top) / 2
    halfway = float((first + last) // 2)
    texts = {middle: "now", first: f"{int(first):,}", halfway: f"{int(halfway):,}"}
    expression = " : ".join(f"datum.value == {at} ? '{text}'" for at, text in texts.items())
    axis = alt.Axis(title="step", values=list(texts), labelExpr=f"{expression} : ''", grid=False)
    return alt.Y("at:Q", axis=axis, scale=alt.Scale(domain=[first, top], nice=False, zero=False))


def _borders(now: pd.DataFrame) -> alt.Chart:
    rules = alt.Chart(now[["left"]]).mark_rule(color="white", strokeWidth=1, opacity=0.6)
    chart: alt.Chart = rules.encode(x="left:Q")
    return chart


def _signs(now: pd.DataFrame) -> alt.Chart:
    wide = now[now["right"] - now["left"] >= _SIGN_FITS]
    placed = wide.assign(middle=(wide["left"] + wide["right"]) / 2, height=(wide["at"] + wide["until"]) / 2)
    text = alt.Chart(placed).mark_text(fontSize=15, fontWeight="bold", color="white", cursor="pointer")
    chart: alt.Chart = text.encode(x="middle:Q", y="height:Q", text="sign:N")
    return chart


def _outline(cells: pd.DataFrame) -> alt.Chart:
    mark = alt.Chart(cells).mark_rect(filled=False, stroke=PALETTE[0], strokeWidth=3)
    chart: alt.Chart = mark.encode(x="left:Q", x2="right:Q", y="at:Q", y2="until:Q")
    return chart
