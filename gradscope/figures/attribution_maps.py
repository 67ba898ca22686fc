"""Test pictures and their maps as a grid: a row a picture, a column a run and method, one colour scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import altair as alt
import pandas as pd

from gradscope.figures.attribution_pixels import (
    address,
    enlarged,
    full_colour,
    overlay,
    picture,
    summed,
)
from gradscope.figures.style import NEUTRAL, Figure, RunStyle
from gradscope.overview import Overview

Cell = tuple[int, str]
GAP, CAPTION, HEAD = 8, 17, 34
SIDES = (96, 80, 64, 48)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """Where things stand, in pixels."""

    columns: tuple[Cell, ...]
    side: int
    """Of a picture."""

    @classmethod
    def fitting(cls, columns: Sequence[Cell], width: int) -> "Grid":
        """With pictures as large as the width allows."""
        room = width / (len(columns) + 1) - GAP
        return cls(columns=tuple(columns), side=next((side for side in SIDES if side <= room), SIDES[-1]))

    @property
    def step(self) -> int:
        """From a column to the next."""
        return self.side + GAP

    @property
    def width(self) -> int:
        """Of the whole."""
        return (len(self.columns) + 1) * self.step

    def x(self, column: int) -> float:
        """Middle of a column; the picture itself is column 0."""
        return (column + 0.5) * self.step

    def y(self, row: int) -> float:
        """Middle of a row's pictures."""
        return row * (self.side + CAPTION + GAP) + self.side / 2 + GAP / 2

    def height(self, rows: int) -> int:
        """Of so many rows."""
        return rows * (self.side + CAPTION + GAP)


def scales(found: Overview, *, each: bool) -> dict[tuple[Cell, int], float]:
    """The magnitude of full colour of every map, by cell and place.

    Args:
        found: the maps.
        each: every map by its own; else one for all maps of a method, so that runs and pictures can be compared.
    """
    values = {
        (cell, int(place)): summed(m)
        for cell, maps in found.maps.items()
        for place, m in zip(maps.places, maps.maps, strict=True)
    }
    if each:
        return {key: full_colour([one]) for key, one in values.items()}
    methods = {method for (_, method), _ in values}
    full = {m: full_colour([one for ((_, of), _), one in values.items() if of == m]) for m in methods}
    return {key: full[key[0][1]] for key in values}


def map_grid(
    found: Overview,
    grid: Grid,
    *,
    full: Mapping[tuple[Cell, int], float],
    strength: float,
    picked: tuple[Cell, int] | None,
) -> Figure:
    """The grid, without its head. A click on a map selects it under the name `pick`, with place and column.

    Args:
        found: what is shown; rows are its places for which there is a map.
        grid: the columns.
        full: `scales`.
        strength: of the maps over their pictures, in 0..1.
        picked: the map to frame.
    """
    rows = shown_places(found)
    pictures, maps, words = (
        _pictures(found, grid, rows),
        _maps(found, grid, rows, full, strength),
        _words(found, grid, rows),
    )
    height = grid.height(len(rows))
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, grid.width], nice=False, zero=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0], nice=False, zero=False))
    side = grid.side
    parts: list[alt.Chart] = [
        alt.Chart(pictures)
        .mark_image(width=side, height=side)
        .encode(x=x, y=y, url="address:N", tooltip=[alt.Tooltip("tip:N", title="picture")]),
        alt.Chart(maps)
        .mark_image(width=side, height=side, cursor="pointer")
        .encode(x=x, y=y, url="address:N", tooltip=_tooltip())
        .add_params(alt.selection_point(name="pick", fields=["place", "column"])),
        alt.Chart(words)
        .mark_text(fontSize=11, baseline="top", limit=grid.step, color=NEUTRAL)
        .encode(x=x, y=y, text="text:N"),
    ]
    if picked is not None and picked[0] in grid.columns and picked[1] in rows:
        parts.append(_frame(grid, rows.index(picked[1]), grid.columns.index(picked[0]) + 1).encode(x=x, y=y))
    return _plain(alt.layer(*parts), grid.width, height)


def head(found: Overview, grid: Grid, looks: Mapping[int, RunStyle]) -> Figure:
    """The names over the columns: the run in its colour, then the method."""
    names = pd.DataFrame(
        [
            (grid.x(i + 1), looks[run].label, found.titles[method], looks[run].colour)
            for i, (run, method) in enumerate(grid.columns)
        ],
        columns=["x", "run", "method", "colour"],
    )
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, grid.width], nice=False, zero=False))
    base = alt.Chart(names)
    parts = [
        base.mark_text(fontSize=12, fontWeight="bold", limit=grid.step).encode(
            x=x, y=alt.value(9), text="run:N", color=alt.Color("colour:N", scale=None), tooltip=["run:N", "method:N"]
        ),
        base.mark_text(fontSize=11, limit=grid.step, color=NEUTRAL).encode(
            x=x, y=alt.value(25), text="method:N", tooltip=["run:N", "method:N"]
        ),
    ]
    return _plain(alt.layer(*parts), grid.width, HEAD)


def shown_places(found: Overview) -> list[int]:
    """The places of the set for which some map is there, in the set's order."""
    there = {int(place) for maps in found.maps.values() for place in maps.places}
    return [place for place in found.places if place in there]


def _pictures(found: Overview, grid: Grid, rows: Sequence[int]) -> pd.DataFrame:
    images = {
        int(p): (i, int(k))
        for maps in found.maps.values()
        for p, i, k in zip(maps.places, maps.images, maps.labels, strict=True)
    }
    lines = [
        (
            grid.x(0),
            grid.y(r),
            address(enlarged(picture(images[place][0]), grid.side)),
            f"test picture {place}: {found.classes[images[place][1]]}",
        )
        for r, place in enumerate(rows)
    ]
    return pd.DataFrame(lines, columns=["x", "y", "address", "tip"])


def _maps(
    found: Overview, grid: Grid, rows: Sequence[int], full: Mapping[tuple[Cell, int], float], strength: float
) -> pd.DataFrame:
    lines = []
    for column, cell in enumerate(grid.columns):
        maps = found.maps.get(cell)
        if maps is None:
            continue
        for i, place in enumerate(int(p) for p in maps.places):
            drawn = overlay(maps.images[i], summed(maps.maps[i]), full[cell, place], strength)
            lines.append(
                {
                    "x": grid.x(column + 1),
                    "y": grid.y(rows.index(place)),
                    "address": address(enlarged(drawn, grid.side)),
                    "place": place,
                    "column": column,
                    "explains": found.classes[maps.targets[i]],
                    "sum": float(maps.totals[i]),
                    "promised": float(maps.differences[i]),
                }
            )
    return pd.DataFrame(lines, columns=["x", "y", "address", "place", "column", "explains", "sum", "promised"])


def _words(found: Overview, grid: Grid, rows: Sequence[int]) -> pd.DataFrame:
    """Under each picture its true class, under each map what the run answers and how surely."""
    lines = []
    for column, cell in enumerate(grid.columns):
        answers = found.answers[cell[0]]
        for r, place in enumerate(rows):
            y = grid.y(r) + grid.side / 2 + 3
            if column == 0:
                lines.append((grid.x(0), y, found.classes[answers.labels[place]]))
            guess = int(answers.probabilities[place].argmax())
            sign = "✓" if guess == answers.labels[place] else "✕"
            lines.append(
                (grid.x(column + 1), y, f"{sign} {found.classes[guess]} {answers.probabilities[place, guess]:.0%}")
            )
    return pd.DataFrame(lines, columns=["x", "y", "text"])


def _tooltip() -> list[alt.Tooltip]:
    return [
        alt.Tooltip("explains:N", title="explained class"),
        alt.Tooltip("place:Q", title="test picture", format="d"),
        alt.Tooltip("sum:Q", title="sum of the map", format=".3g"),
        alt.Tooltip("promised:Q", title="difference of the logits", format=".3g"),
    ]


def _frame(grid: Grid, row: int, column: int) -> alt.Chart:
    at = pd.DataFrame({"x": [grid.x(column)], "y": [grid.y(row)]})
    mark: alt.Chart = alt.Chart(at).mark_square(size=(grid.side + 4) ** 2, filled=False, strokeWidth=2, color=NEUTRAL)
    return mark


def _plain(chart: alt.LayerChart | alt.FacetChart, width: int, height: int) -> Figure:
    """Without axes, frame and padding: columns of the head and of the grid stand over each other."""
    whole: Figure = chart.properties(width=width, height=height, padding=0).configure_view(stroke=None, strokeWidth=0)
    return whole
