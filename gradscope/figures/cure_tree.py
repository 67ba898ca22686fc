"""What a cure tried on top of what: a line a run, joined to the run whose settings it began from."""

import altair as alt
import pandas as pd

from gradscope.figures.network_strip import SIGNS as SIGNS_OF_HEALTH
from gradscope.figures.style import ALARM, HEALTHY, NEUTRAL, Figure, empty, finished

HEALTHY_RUN, WARNED, CRITICAL_RUN, FAILED = "healthy", "warning", "critical", "failed"
STATES = (HEALTHY_RUN, WARNED, CRITICAL_RUN, FAILED)
_COLOURS = (HEALTHY, "#f0a000", ALARM, NEUTRAL)
_SIGNS = {**{state: SIGNS_OF_HEALTH[state] for state in (HEALTHY_RUN, WARNED, CRITICAL_RUN)}, FAILED: "-"}

_LINE = 30
"""Pixels of a run."""
_ROOM = 36
"""Pixels of the title."""
_STEP = 0.05
"""Of the width, by which a run stands to the right of its parent."""


def cure_tree(tried: pd.DataFrame) -> Figure:
    """The tree, the run to be cured at the top; the one to take is in bold.

    Args:
        tried: a line a run, a parent before its children: `place`, `parent` (its place, NaN at the root), `depth`,
            `run`, `remedy`, `state` (of STATES), `said` (its findings in words), `accuracy` (0..1 or NaN), `wins`.
    """
    title = "What was tried on top of what"
    if tried.empty:
        return empty(title, _LINE * 3)
    lines = tried.assign(row=range(0, -len(tried), -1), x=_STEP * tried["depth"], sign=tried["state"].map(_SIGNS))
    known = lines["accuracy"].map(lambda share: "" if pd.isna(share) else f", validation {share:.1%}")
    lines["text"] = lines["remedy"] + ": " + lines["said"] + known
    return finished(alt.layer(*_joints(lines), _points(lines), *_texts(lines)), title, _ROOM + _LINE * len(lines))


def _at(chart: alt.Chart, n: int, x: str = "x") -> alt.Chart:
    """The chart with the place of each of n runs, the first at the top."""
    across = alt.X(f"{x}:Q", axis=None, scale=alt.Scale(domain=[0, 1], nice=False, padding=12))
    down = alt.Y("row:Q", axis=None, scale=alt.Scale(domain=[0.5 - n, 0.5], nice=False))
    return chart.encode(x=across, y=down)


def _joints(lines: pd.DataFrame) -> list[alt.Chart]:
    """From each parent down, and from there to each of its children."""
    children = lines[lines["parent"].notna()]
    if children.empty:
        return []
    parents = lines.set_index("place").loc[children["parent"]]
    joints = children.assign(from_x=parents["x"].to_numpy(), from_row=parents["row"].to_numpy())
    rule = _at(alt.Chart(joints).mark_rule(color=NEUTRAL, opacity=0.6), len(lines), "from_x")
    return [rule.encode(y2="from_row"), rule.encode(x2="x")]


def _points(lines: pd.DataFrame) -> alt.Chart:
    colour = alt.Color("state:N", scale=alt.Scale(domain=list(STATES), range=list(_COLOURS)), legend=None)
    tooltip = [alt.Tooltip("run:Q", title="run"), alt.Tooltip("remedy:N"), alt.Tooltip("said:N", title="found")]
    shown = [*tooltip, alt.Tooltip("accuracy:Q", title="validation accuracy", format=".1%")]
    return _at(alt.Chart(lines).mark_circle(size=230, opacity=1), len(lines)).encode(color=colour, tooltip=shown)


def _texts(lines: pd.DataFrame) -> list[alt.Chart]:
    """The sign in each point, so that nobody has to tell red from green, and what was tried beside it."""
    signs = _at(alt.Chart(lines).mark_text(color="white", fontWeight="bold"), len(lines)).encode(text="sign:N")
    beside = alt.MarkDef(type="text", align="left", dx=14, fontSize=13, color=NEUTRAL)
    bold = alt.MarkDef(type="text", align="left", dx=14, fontSize=13, color=NEUTRAL, fontWeight="bold")
    words = [
        alt.Chart(lines, mark=beside).transform_filter("!datum.wins"),
        alt.Chart(lines, mark=bold).transform_filter("datum.wins"),
    ]
    return [signs, *(_at(chart, len(lines)).encode(text="text:N") for chart in words)]
