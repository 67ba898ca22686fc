"""Units that no longer answer: saturated ones, dead ones."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.spell import spell
from gradscope.analysis.findings.tables import Grid, Numbers, Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.medians import medians
from gradscope.analysis.wording import percent
from gradscope.records import Kind

_SATURATED = "{share} of the outputs of {layers} sit at the ends of their activation, where its derivative is near zero"
_DEAD = "{share} of the units of {layers} are dead: zero for every picture of the batch, and so without gradient"


def saturated(tables: Tables, limits: Thresholds) -> list[Finding]:
    """Layers whose outputs nearly all sit at the ends of tanh or sigmoid, where the derivative is about zero."""
    grid = tables.grids.get(Kind.ACTIVATION)
    if grid is None:
        return []
    return _shares(tables, grid, grid.saturated, limits.saturated_share, "saturated_units", _SATURATED)


def dead(tables: Tables, limits: Thresholds) -> list[Finding]:
    """Layers most of whose units put out zero for the whole batch, and so get no gradient."""
    grid = tables.grids.get(Kind.ACTIVATION)
    if grid is None:
        return []
    return _shares(tables, grid, grid.dead, limits.dead_share, "dead_units", _DEAD)


def _shares(tables: Tables, grid: Grid, shares: Numbers, limit: float, name: str, sentence: str) -> list[Finding]:
    """A finding about all layers whose share is above the limit, with the worst as the evidence."""
    over = np.asarray(np.nan_to_num(shares) >= limit)
    held = spell(grid.steps, np.asarray(over.any(axis=1)), tables.horizon)
    if held is None:
        return []
    often = over[held.first : held.last + 1].mean(axis=0)
    layers = np.flatnonzero(often >= min(0.5, often.max()))
    typical = medians(shares[held.first : held.last + 1, layers], axis=0)
    share = float(typical.max())
    severity = Severity.CRITICAL if share >= 0.99 else Severity.WARNING
    text = f"{sentence.format(share=percent(share), layers=named(tables.names, layers))}."
    return [
        held.told(
            *(name, severity, text),
            margin=1 + 2 * (share - limit) / (1 - limit),
            page=Page.LAYERS,
            layers=layers.tolist(),
            layer=int(layers[typical.argmax()]),
            kind=Kind.ACTIVATION,
        )
    ]


def named(names: Sequence[str], layers: Sequence[int] | NDArray[np.integer]) -> str:
    """The layers' names; the first and last of them where they are many."""
    chosen = [names[int(i)] for i in layers]
    return ", ".join(chosen) if len(chosen) <= 3 else f"{chosen[0]} to {chosen[-1]} ({len(chosen)} layers)"
