"""Figures to take away: as PNG, as SVG, and the numbers that they are drawn from, as a table or as Parquet."""

import io
from collections.abc import Mapping
from typing import Any

import altair as alt
import pandas as pd

from gradscope.figures.style import Figure

WIDTH = 860
"""In pixels; on a page a figure takes what there is."""

_MIXED = {"mixed", "mixed-integer"}
"""What pandas calls a column of several types, or of lists."""

_ON_PAPER = {"background": "white", "font": "sans-serif"}


def as_png(figure: Figure | alt.FacetChart) -> bytes:
    """The picture on white, two pixels to one of the page's."""
    file = io.BytesIO()
    _on_paper(figure).save(file, format="png", scale_factor=2)
    return file.getvalue()


def as_svg(figure: Figure | alt.FacetChart) -> str:
    """The picture on white, as text that draws itself at any size."""
    file = io.StringIO()
    _on_paper(figure).save(file, format="svg")
    return file.getvalue()


def numbers(figure: Figure | alt.FacetChart) -> pd.DataFrame:
    """What the figure is drawn from: of its layers' tables the largest, without what is empty throughout."""
    parts = [figure, *getattr(figure, "layer", [])]
    tables = [part.data for part in parts if isinstance(part.data, pd.DataFrame)]
    largest = max(tables, key=lambda table: table.size, default=pd.DataFrame())
    return largest.dropna(axis="columns", how="all")


def as_parquet(table: pd.DataFrame) -> bytes:
    """The table in columns, each with a type of its own; what holds values of several types becomes text."""
    file = io.BytesIO()
    mixed = {name: str for name, column in table.items() if pd.api.types.infer_dtype(column, skipna=True) in _MIXED}
    table.astype(mixed).to_parquet(file, index=False)
    return file.getvalue()


def _on_paper(figure: Figure | alt.FacetChart) -> Figure | alt.FacetChart:
    specification: Mapping[str, Any] = figure.to_dict()  # Any: Vega-Lite
    width = {} if "facet" in specification or "width" in specification else {"width": WIDTH}
    whole: Figure = alt.Chart.from_dict({**specification, **width, **_with_config(specification)})
    return whole


def _with_config(specification: Mapping[str, Any]) -> dict[str, Any]:  # Any: as above
    return {"config": {**specification.get("config", {}), **_ON_PAPER}}
