"""One look for every figure: a run's colour, dash and marker, log axes, the marks of what a log axis cannot hold.

Colours are chosen to be read on white and on near-black alike, so that no figure needs to know the theme.
"""

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import altair as alt
import numpy as np
import pandas as pd

from gradscope.analysis.wording import power

PALETTE = (
    *("#3f90da", "#f0a000", "#bd1f01", "#94a4a2", "#9a4fd0"),
    *("#a96b59", "#e76300", "#b0a35f", "#717581", "#55c5cc"),
)
"""Ten colours that stay apart for every kind of colour sight: Petroff (2021, arXiv 2107.02270), table 1, four of them
moved so that each also stands out on white and on near-black paper."""

DASHES = ((1, 0), (6, 3), (2, 2), (8, 3, 2, 3))
SHAPES = ("circle", "square", "triangle-up", "diamond", "triangle-down", "triangle-right", "triangle-left")
_OUTLINES = {
    "circle": "M.3,0A.3,.3,0,1,1,-.3,0A.3,.3,0,1,1,.3,0",
    "square": "M-.25,-.25H.25V.25H-.25Z",
    "triangle-up": "M0,-.3L.3,.25H-.3Z",
    "diamond": "M0,-.38L.3,0L0,.38L-.3,0Z",
    "triangle-down": "M0,.3L.3,-.25H-.3Z",
    "triangle-right": "M.3,0L-.25,.3V-.3Z",
    "triangle-left": "M-.3,0L.25,.3V-.3Z",
}
"""The markers as SVG paths on a line from -1 to 1."""

# of legends, in pixels
_LEGEND_ROW = 22
"""Of a row, which counts as height of a figure."""
_LEGEND_COLUMN = 150
"""Least width of a column, where there are more than two."""
_COLUMN_PADDING = 14
_LABEL_OFFSET = 6
"""Between a symbol and its name: Vega's 4, and what it rounds up."""
_STROKE = 2.5
"""Width of a symbol's line, by which Vega counts the symbol wider than its size."""

NEUTRAL = "#808495"
ALARM = "#e03131"
HEALTHY = "#2f9e44"
HEIGHT = 340
SMALL_HEIGHT = 220

VALUE, ZERO, NONFINITE = "value", "exactly zero", "not finite"
ABOVE = "above the axis"


@dataclass(frozen=True, kw_only=True)
class RunStyle:
    """How a run is drawn, on every page."""

    label: str
    colour: str
    dash: tuple[int, ...]
    shape: str


def styles(names: Mapping[int, str]) -> dict[int, RunStyle]:
    """The style of each run by its id, never by its place in a list; labels are told apart by the id where needed.

    Colour and dash together repeat after 40 runs, colour and marker after 70.
    """
    known = list(names.values())
    return {
        run: RunStyle(
            label=name if known.count(name) == 1 else f"{name} #{run}",
            colour=PALETTE[(run - 1) % len(PALETTE)],
            dash=DASHES[(run - 1) // len(PALETTE) % len(DASHES)],
            shape=SHAPES[(run - 1) % len(SHAPES)],
        )
        for run, name in names.items()
    }


def labelled(frame: pd.DataFrame, runs: Mapping[int, RunStyle]) -> pd.DataFrame:
    """The rows of these runs, with the run's label in a column `label`."""
    known = frame[frame["run"].isin(list(runs))]
    return known.assign(label=known["run"].map({run: style.label for run, style in runs.items()}).astype("object"))


def run_colour(runs: Mapping[int, RunStyle]) -> alt.Color:
    """Colour by run."""
    return alt.Color("label:N", scale=_colours(runs), legend=_line_legend(runs))


def _colours(runs: Mapping[int, RunStyle]) -> alt.Scale:
    return alt.Scale(domain=[s.label for s in runs.values()], range=[s.colour for s in runs.values()])


def marked_colour(runs: Mapping[int, RunStyle]) -> alt.Color:
    """Colour by run in a figure whose markers, and not dashes, tell two runs of one colour apart: see `run_shape`."""
    return alt.Color("label:N", scale=_colours(runs), legend=_run_legend(runs, size=80))


def line_and_marker_colour(runs: Mapping[int, RunStyle]) -> alt.Color:
    """Colour by run in a figure of lines with markers, whose dash means something else: the legend shows both."""
    pictures = {style.label: f"M-1,0H1{_OUTLINES[style.shape]}" for style in runs.values()}
    symbol = alt.ExprRef(f"{json.dumps(pictures)}[datum.value]")  # Vega asks for each line of the legend
    return alt.Color("label:N", scale=_colours(runs), legend=_line_legend(runs, symbol, size=600))


def run_dash(runs: Mapping[int, RunStyle]) -> alt.StrokeDash:
    """Dash by run."""
    scale = alt.Scale(domain=[s.label for s in runs.values()], range=[list(s.dash) for s in runs.values()])
    return alt.StrokeDash("label:N", scale=scale, legend=_line_legend(runs))


def run_shape(runs: Mapping[int, RunStyle]) -> alt.Shape:
    """Marker by run; the legend is that of the colours, with the markers where the figure has no other shapes."""
    scale = alt.Scale(domain=[s.label for s in runs.values()], range=[s.shape for s in runs.values()])
    return alt.Shape("label:N", scale=scale, legend=None)


def share_a_colour(runs: Mapping[int, RunStyle]) -> bool:
    """Whether two of the runs have the same colour, so that dash or marker alone tells them apart."""
    return len({style.colour for style in runs.values()}) < len(runs)


def _line_legend(runs: Mapping[int, RunStyle], symbol: str | alt.ExprRef = "stroke", size: int = 400) -> alt.Legend:
    """A piece of the run's line: a disc would hide the dash, which tells two runs of one colour apart."""
    legend = _run_legend(runs, size)
    legend.symbolType, legend.symbolStrokeWidth = symbol, _STROKE
    return legend


def _run_legend(runs: Mapping[int, RunStyle], size: int) -> alt.Legend:
    """As many columns as fit the figure, and names cut where their column ends."""
    symbol_width = math.ceil(math.sqrt(size) + _STROKE) + _LABEL_OFFSET
    columns = f"max(2, min(5, floor(width / {_LEGEND_COLUMN})))"
    room = f"(width + {_COLUMN_PADDING}) / min({max(1, len(runs))}, {columns}) - {_COLUMN_PADDING + symbol_width}"
    return alt.Legend(
        title=None,
        orient="top",
        columns=alt.ExprRef(columns),
        labelLimit=alt.ExprRef(room),
        symbolSize=size,
        symbolOpacity=1,
    )


def mark_legend() -> alt.Legend:
    """Of the marks that stand for what a log axis cannot hold."""
    return alt.Legend(title=None, orient="bottom", direction="horizontal", symbolSize=90, symbolOpacity=1)


Figure = alt.Chart | alt.LayerChart


def finished(
    chart: Figure | alt.FacetChart, title: str, height: int, *, columns: int = 5, below: str | None = None
) -> Figure:
    """The figure with its title, a line below that, and its height.

    The columns are those of a legend that is not of runs: of these five fit a page, three fit half of one.
    """
    subtitle, colour = (alt.Undefined, alt.Undefined) if below is None else (below, NEUTRAL)
    whole: Figure = (
        chart.properties(
            height=height,
            title=alt.TitleParams(title, anchor="start", offset=4, subtitle=subtitle, subtitleColor=colour),
        )
        .configure_axis(titlePadding=8)
        .configure_legend(offset=6, padding=0, rowPadding=2, columnPadding=_COLUMN_PADDING, columns=columns)
    )
    return whole


def tall(height: int, runs: int, columns: int) -> int:
    """The height of a figure that keeps its room below a legend of so many runs in so many columns.

    A legend of runs has five columns over a page, two over half of one or a third.

    >>> tall(300, 3, columns=3), tall(300, 10, columns=3)
    (300, 366)
    """
    return height + _LEGEND_ROW * max(0, math.ceil(runs / columns) - 1)


def log_axis(exponents: Iterable[int], title: str | list[str], base: int = 10) -> alt.Axis:
    """An axis over logarithms whose labels are powers: 10⁻⁵ and not -5."""
    ticks = list(exponents)
    texts = ", ".join(f"'{e}': '{power(e, base)}'" for e in ticks)
    return alt.Axis(title=title, values=ticks, labelExpr=f"{{{texts}}}[datum.value]", labelOverlap=True)


def ticks(low: float, high: float, at_most: int = 8) -> list[int]:
    """Whole exponents from low to high, every 1st, 2nd, 5th, 10th, ..., so that at most `at_most` remain.

    >>> ticks(-7.2, 1.0), ticks(-30, 0, at_most=4)
    ([-6, -4, -2, 0], [-30, -20, -10, 0])
    """
    for stride in (1, 2, 5, 10, 20, 50, 100, 200):
        found = [e for e in range(math.ceil(low), math.floor(high) + 1) if e % stride == 0]
        if len(found) <= at_most:
            return found
    return []


def on_log_axis(frame: pd.DataFrame, column: str = "rms") -> pd.DataFrame:
    """Where each row of layer statistics goes on a log axis.

    Args:
        frame: layer statistics: n, nan, pos_inf, neg_inf and the column.
        column: rms, mean_abs or max_abs.

    Returns:
        The rows that were measured, with `log` (log10 of the column; NaN where it has none) and `mark`: VALUE, ZERO or
        NONFINITE (any element is NaN or infinite, even where the finite rest has an RMS).
    """
    rows = frame[frame["n"] > 0]
    values = rows[column].to_numpy(dtype=np.float64)
    positive = np.isfinite(values) & (values > 0)
    log = np.log10(np.where(positive, values, 1.0))
    broken = rows[["nan", "pos_inf", "neg_inf"]].sum(axis=1).to_numpy() > 0
    mark = np.where(broken | ~np.isfinite(values), NONFINITE, np.where(positive, VALUE, ZERO))
    return rows.assign(log=np.where(positive, log, np.nan), mark=mark)


def log_span(frames: Iterable[pd.DataFrame], column: str = "rms") -> tuple[int, int]:
    """Whole decades that hold every value of the frames on a log axis; (-4, 0) where there is none."""
    logs = [on_log_axis(f, column)["log"].dropna() for f in frames if len(f)]
    everything = pd.concat(logs) if logs else pd.Series(dtype="float64")
    if everything.empty:
        return -4, 0
    low, high = math.floor(everything.min()), math.ceil(everything.max())
    return low, max(high, low + 1)


def empty(title: str, height: int = HEIGHT) -> Figure:
    """A figure that has nothing to show, and says so."""
    note = pd.DataFrame({"text": ["nothing recorded"]})
    chart: alt.Chart = (
        alt.Chart(note).mark_text(color=NEUTRAL, fontSize=14).encode(text="text:N", tooltip=alt.value(None))
    )
    return finished(chart, title, height)
