"""A report as one HTML file that needs nothing else: words, tables, and figures that answer the pointer offline.

Vega, Vega-Lite and Vega-Embed stand in the file itself (about 0.9 MB), as the bundle that the PNG and SVG exports draw
with, and each figure's data stand in its specification.
"""

import html
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import altair as alt
import pandas as pd
from vl_convert import javascript_bundle

from gradscope.figures.style import Figure

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2430; background: white; max-width: 1080px; margin: 2rem auto;
  padding: 0 1.5rem; }
h1 { font-size: 1.7rem; margin-bottom: 0.2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 0.4rem; }
p { max-width: 75ch; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 0.25rem 0.8rem 0.25rem 0; border-bottom: 1px solid #e3e5ea; white-space: nowrap; }
th { font-weight: 600; color: #5a6072; } .figure { width: 100%; margin: 0.6rem 0; }
"""
_DRAW = """
for (const told of document.querySelectorAll("script[type='application/json']")) {
  vegaEmbed("#" + told.dataset.of, JSON.parse(told.textContent), {actions: {export: true, source: false,
    compiled: false, editor: false}, renderer: "svg"});
}
"""
_LARGEST_TABLE = 2000


@dataclass(frozen=True, kw_only=True)
class Words:
    """A paragraph, as plain text."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows as they stand; the caller has made its numbers readable."""

    title: str
    frame: pd.DataFrame


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """A figure; its title is in it."""

    figure: Figure | alt.FacetChart


Part = Words | Table | Drawing


def html_report(title: str, parts: Sequence[Part]) -> str:
    """The whole file; names and texts in it are shown as they are, whatever signs they hold."""
    body = "\n".join(_part(part, f"figure-{i}") for i, part in enumerate(parts))
    drawn = any(isinstance(part, Drawing) for part in parts)
    scripts = f"<script>{_bundle()}</script>\n<script>{_DRAW}</script>" if drawn else ""
    name = html.escape(title)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{name}</title>\n'
        f'<meta name="viewport" content="width=device-width">\n<style>{_STYLE}</style>\n</head>\n'
        f"<body>\n<h1>{name}</h1>\n{body}\n{scripts}\n</body>\n</html>\n"
    )


def _part(part: Part, key: str) -> str:
    if isinstance(part, Words):
        return f"<p>{html.escape(part.text)}</p>"
    if isinstance(part, Table):
        return f'<h2>{html.escape(part.title)}</h2>\n<div class="scroll">{_table(part.frame)}</div>'
    # "</" would end the script within a text of the figure
    told = json.dumps(_specification(part.figure)).replace("</", "<\\/")
    return f'<div class="figure" id="{key}"></div>\n<script type="application/json" data-of="{key}">{told}</script>'


def _table(frame: pd.DataFrame) -> str:
    found: str = frame.head(_LARGEST_TABLE).to_html(index=False, border=0, na_rep="—", justify="unset")
    return found


def _specification(figure: Figure | alt.FacetChart) -> dict[str, Any]:  # Any: Vega-Lite
    told: dict[str, Any] = figure.to_dict()
    told["config"] = {**told.get("config", {}), "background": "white", "font": "system-ui, sans-serif"}
    return (
        told
        if "facet" in told
        else {**told, "width": "container", "autosize": {"type": "fit-x", "contains": "padding"}}
    )


@cache
def _bundle() -> str:
    major, minor, *_ = alt.SCHEMA_VERSION.removeprefix("v").split(".")
    # its stub asks for a snippet, which it calls optional; this one is what it takes by default
    bundle: str = javascript_bundle("window.vegaEmbed = vegaEmbed;", f"{major}.{minor}")
    return bundle.replace("</script", "<\\/script")
