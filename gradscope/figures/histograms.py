"""Histograms of the magnitude of a layer's values: over the steps, at one step, and of several runs."""

from collections.abc import Mapping

import altair as alt
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradscope import histogram
from gradscope.figures.style import (
    ALARM,
    HEIGHT,
    PALETTE,
    SMALL_HEIGHT,
    Figure,
    RunStyle,
    empty,
    finished,
    labelled,
    log_axis,
    run_colour,
    run_dash,
    ticks,
)

Counts = NDArray[np.int64]

_MOST_CELLS = 6000


def histogram_map(
    steps: Counts, counts: Counts, *, what: str = "gradient", step: int | None = None, height: int = SMALL_HEIGHT
) -> Figure:
    """Share of the values by magnitude, as columns over the steps.

    Args:
        steps: shape (S,), rising.
        counts: shape (S, gradscope.histogram.BINS), as `gradscope.store.read.histograms` gives them.
        what: the word on the axis.
        step: the step to point out.
        height: in pixels.
    """
    title = f"Magnitudes of the {what} over the steps"
    cells = _cells(*_fewer(steps, counts))
    if cells.empty:
        return empty(title, height)
    parts = [_map(cells, what)]
    if step is not None:
        rule = alt.Chart(pd.DataFrame({"step": [step]})).mark_rule(color=ALARM, strokeDash=[4, 3])
        parts.append(rule.encode(x="step:Q"))
    return finished(alt.layer(*parts), title, height)


def _fewer(steps: Counts, counts: Counts) -> tuple[Counts, Counts]:
    """Every 2nd, 4th, 8th, ... step, so that a browser can draw the cells."""
    stride = 1
    while (counts[::stride] > 0).sum() > _MOST_CELLS:
        stride *= 2
    return steps[::stride], counts[::stride]


def _cells(steps: Counts, counts: Counts) -> pd.DataFrame:
    row, bin_ = np.nonzero(counts)
    if not row.size:
        return pd.DataFrame({"step": []})
    edges = histogram.edges_log2()
    width = steps[-1] - steps[-2] if steps.size > 1 else 1
    until = np.append(steps[1:], steps[-1] + width)
    share = counts[row, bin_] / counts.sum(axis=1)[row]
    return pd.DataFrame(
        {"step": steps[row], "until": until[row], "low": edges[bin_], "high": edges[bin_ + 1], "share": share}
    )


def _magnitude(low: float, high: float, what: str) -> alt.Axis:
    return log_axis(ticks(low, high, at_most=7), f"|{what}|", base=2)


def _map(cells: pd.DataFrame, what: str) -> alt.Chart:
    low, high = float(cells["low"].min()), float(cells["high"].max())
    y = alt.Y("low:Q", scale=alt.Scale(domain=[low, high], nice=False, zero=False), axis=_magnitude(low, high, what))
    colour = alt.Color(
        "share:Q",
        scale=alt.Scale(scheme="viridis", type="sqrt"),
        legend=alt.Legend(title="share of the values", format="%", titleOrient="right", tickCount=4),
    )
    mark = alt.Chart(cells).mark_rect()
    chart: alt.Chart = mark.encode(
        x=alt.X("step:Q", axis=alt.Axis(title="step", format="~s", tickMinStep=1), scale=alt.Scale(nice=False)),
        x2="until:Q",
        y=y,
        y2="high:Q",
        color=colour,
        tooltip=_tooltip("step:Q"),
    )
    return chart


def _tooltip(first: str) -> list[alt.Tooltip]:
    return [
        alt.Tooltip(first, title=first.split(":")[0].replace("label", "run")),
        alt.Tooltip("low:Q", title="from 2^", format=".1f"),
        alt.Tooltip("high:Q", title="to 2^", format=".1f"),
        alt.Tooltip("share:Q", title="share", format=".2%"),
    ]


def histogram_bars(
    counts: Counts, *, what: str = "gradient", step: int, colour: str = PALETTE[0], height: int = SMALL_HEIGHT
) -> Figure:
    """Share of the values by magnitude at one step.

    Args:
        counts: shape (gradscope.histogram.BINS,).
        what: the word on the axis.
        step: for the title.
        colour: of the bars, the run's.
        height: in pixels.
    """
    title = f"Magnitudes of the {what} at step {step:,}".replace(",", "\u202f")
    cells = _cells(np.array([step]), counts[None, :])
    if cells.empty:
        return empty(title, height)
    low, high = float(cells["low"].min()), float(cells["high"].max())
    x = alt.X("low:Q", scale=alt.Scale(domain=[low, high], nice=False, zero=False), axis=_magnitude(low, high, what))
    mark = alt.Chart(cells).mark_rect(color=colour)
    chart: alt.Chart = mark.encode(
        x=x, x2="high:Q", y=_share_axis("share:Q"), y2=alt.datum(0), tooltip=_tooltip("share:Q")[1:]
    )
    return finished(chart, title, height)


def _share_axis(field: str) -> alt.Y:
    return alt.Y(
        field, axis=alt.Axis(title="share of the values", format="~%", tickCount=5), scale=alt.Scale(zero=True)
    )


def histogram_lines(
    counts: Mapping[int, Counts], runs: Mapping[int, RunStyle], *, what: str = "gradient", height: int = HEIGHT
) -> Figure:
    """The histograms of several runs as lines on the same bins.

    Args:
        counts: run -> shape (gradscope.histogram.BINS,).
        runs: the runs to draw.
        what: the word on the axis.
        height: in pixels.
    """
    title = f"Magnitudes of the {what}"
    drawn = labelled(_lines(counts), runs)
    if drawn.empty:
        return empty(title, height)
    low, high = float(drawn["low"].min()), float(drawn["high"].max())
    x = alt.X("middle:Q", scale=alt.Scale(domain=[low, high], nice=False, zero=False), axis=_magnitude(low, high, what))
    mark = alt.Chart(drawn).mark_line(interpolate="monotone", strokeWidth=2)
    chart: alt.Chart = mark.encode(
        x=x, y=_share_axis("share:Q"), color=run_colour(runs), strokeDash=run_dash(runs), tooltip=_tooltip("label:N")
    )
    return finished(chart, title, height, columns=5 if height >= HEIGHT else 3)


def _lines(counts: Mapping[int, Counts]) -> pd.DataFrame:
    """Every bin from one below the first filled to one above the last, so that each line comes down to zero."""
    edges, middles = histogram.edges_log2(), histogram.centres_log2()
    parts = []
    for run, row in counts.items():
        filled = np.flatnonzero(row)
        if filled.size:
            at = np.arange(max(0, filled[0] - 1), min(histogram.BINS, filled[-1] + 2))
            share = row[at] / row.sum()
            part = {"run": run, "low": edges[at], "high": edges[at + 1], "middle": middles[at], "share": share}
            parts.append(pd.DataFrame(part))
    return pd.concat(parts) if parts else pd.DataFrame({"run": []})
