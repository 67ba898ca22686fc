"""Does the error reach the first layer, and the picture the last? Vanishing, exploding and dying over depth."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gradscope.analysis.decay import fit
from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.learning import from_the_start
from gradscope.analysis.findings.spell import Spell, median_of
from gradscope.analysis.findings.tables import Flags, Grid, Numbers, Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.medians import medians
from gradscope.analysis.wording import power, significant
from gradscope.records import Kind

FEWEST_LAYERS = 4
"""Hidden layers; with fewer there is no depth to speak of."""

_ENDS = 3
"""Layers whose median stands for an end of the network."""

_TIMES = "\N{MULTIPLICATION SIGN}"


def backward(tables: Tables) -> tuple[Kind, Grid] | None:
    """What tells best how the error goes backward: signals, else gradients; None with too few layers of either."""
    for kind in (Kind.SIGNAL, Kind.GRADIENT):
        grid = tables.grids.get(kind)
        if grid is not None and len(grid) and hidden(grid).sum() >= FEWEST_LAYERS:
            return kind, grid
    return None


def hidden(grid: Grid) -> Flags:
    """Which layers were ever measured, but for the output layer: it is of another kind, and sits apart."""
    used = np.asarray(grid.n.max(axis=0) > 0)
    used[-1] = False
    return used


def rise(grid: Grid) -> Numbers:
    """Decades that the RMS gains over the hidden layers on the way to the output, at each step; NaN if unknown.

    The median of the outermost three stands for an end. A zero has no place here: it is a finding of its own.
    """
    logs = grid.log_rms[:, hidden(grid)]
    width = min(_ENDS, max(1, logs.shape[1] // 2))
    return medians(logs[:, -width:], axis=1) - medians(logs[:, :width], axis=1)


@dataclass(frozen=True, kw_only=True)
class _Profile:
    """log10 RMS of the hidden layers during a spell, the median of its records."""

    layers: NDArray[np.integer]
    logs: Numbers

    @classmethod
    def of(cls, grid: Grid, held: Spell) -> "_Profile":
        logs = medians(grid.log_rms[held.first : held.last + 1], axis=0)
        known = np.flatnonzero(np.isfinite(logs) & hidden(grid))
        return cls(layers=known, logs=logs[known])

    @property
    def slope(self) -> float:
        """Decades a layer towards the output."""
        return fit(self.layers.astype(np.float64), 10.0**self.logs).slope

    def over(self, level: float, decades: float) -> tuple[int, ...]:
        """Layers that lie so many decades above a level, below it if negative."""
        away = (self.logs - level) * np.sign(decades) >= abs(decades)
        return tuple(int(i) for i in self.layers[away])

    @property
    def at_input(self) -> float:
        """Level of the first layers."""
        return float(np.median(self.logs[:_ENDS]))

    @property
    def at_output(self) -> float:
        """Level of the last hidden layers."""
        return float(np.median(self.logs[-_ENDS:]))


def vanishing(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The back-propagated error loses `vanishing_decades` on its way to the input."""
    seen = backward(tables)
    if seen is None:
        return []
    kind, grid = seen
    decades = rise(grid)
    held = from_the_start(tables, limits, grid.steps, decades >= limits.vanishing_decades)
    if held is None:
        return []
    size, profile = median_of(decades, held), _Profile.of(grid, held)
    low = profile.over(profile.at_output, -limits.vanishing_decades / 2)
    alike = _moves_alike(tables, limits, held)
    severe = Severity.CRITICAL if size >= 2 * limits.vanishing_decades else Severity.WARNING
    text = (
        f"The gradient vanishes {_where(tables, low)}: {_TIMES}{significant(10.0**-profile.slope)} a layer, so that "
        f"the first layers get {power(-round(size))} of what the last do{'; the optimiser makes up for it' * alike}."
    )
    margin = size / limits.vanishing_decades
    severity = Severity.NOTE if alike else severe
    name = "vanishing_gradient"
    return [held.told(name, severity, text, margin=margin, page=Page.DECAY, layers=low, kind=kind)]


def _where(tables: Tables, layers: tuple[int, ...]) -> str:
    return f"from {tables.names[max(layers)]} down to {tables.names[min(layers)]}" if layers else "towards the input"


def _moves_alike(tables: Tables, limits: Thresholds, held: Spell) -> bool:
    """Whether the first layers' weights move as much as the last ones' all the same, as Adam makes them."""
    ratio = tables.update_ratio
    if ratio is None or len(ratio) <= held.first:
        return False
    middle = medians(ratio.rms[held.first : held.last + 1], axis=0)
    known = middle[np.isfinite(middle)]
    if known.size < FEWEST_LAYERS:
        return False
    first, last = float(np.median(known[:_ENDS])), float(np.median(known[-_ENDS:]))
    return first >= 0.1 * last and first >= limits.slow_update / 5


def exploding(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The back-propagated error gains `exploding_decades` on its way to the input, and the first layers are torn."""
    seen = backward(tables)
    if seen is None:
        return []
    kind, grid = seen
    decades = -rise(grid)
    over = (decades >= limits.exploding_decades) & _torn(tables, grid, limits)
    held = from_the_start(tables, limits, grid.steps, over)
    if held is None:
        return []
    size, profile = median_of(decades, held), _Profile.of(grid, held)
    high = profile.over(profile.at_output, limits.exploding_decades / 2)
    text = (
        f"The gradient explodes {_where(tables, high)}: {_TIMES}{significant(10.0**-profile.slope)} a layer, so that "
        f"the first layers get {power(round(size))} times what the last do."
    )
    margin = size / limits.exploding_decades
    name = "exploding_gradient"
    return [held.told(name, Severity.CRITICAL, text, margin=margin, page=Page.DECAY, layers=high, kind=kind)]


def _torn(tables: Tables, grid: Grid, limits: Thresholds) -> Flags:
    """At which records a step changes the first layers' weights by more than it should; yes where that is unknown."""
    ratio = tables.update_ratio
    if ratio is None or len(ratio) != len(grid):
        return np.ones(len(grid), dtype=bool)
    return np.asarray(~(np.nanmax(ratio.rms[:, :_ENDS], axis=1) < limits.largest_update / 3))


def dying(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The activations lose `dying_decades` between input and output: the picture does not reach the last layer."""
    grid = tables.grids.get(Kind.ACTIVATION)
    if grid is None or hidden(grid).sum() < FEWEST_LAYERS:
        return []
    decades = -rise(grid)
    held = from_the_start(tables, limits, grid.steps, decades >= limits.dying_decades)
    if held is None:
        return []
    size, profile = median_of(decades, held), _Profile.of(grid, held)
    low = profile.over(profile.at_input, -limits.dying_decades / 2)
    text = (
        f"The forward signal dies: {_TIMES}{significant(10.0**profile.slope)} a layer, so that the last layers put out "
        f"{power(-round(size))} of what the first do, and no picture can be told from another."
    )
    margin = size / limits.dying_decades
    at = max(low, default=0)
    return [
        held.told(
            *("dying_signal", Severity.CRITICAL, text),
            margin=margin,
            page=Page.LAYERS,
            layers=low,
            layer=at,
            kind=Kind.ACTIVATION,
        )
    ]


def swollen(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The output layer puts out far more than a loss can use, from the start."""
    grid = tables.grids.get(Kind.ACTIVATION)
    if grid is None or not len(grid):
        return []
    out = grid.rms[:, -1]
    held = from_the_start(tables, limits, grid.steps, np.nan_to_num(out) >= limits.largest_logits)
    if held is None or held.since > 0.1 * tables.horizon:
        return []
    size, last = median_of(out, held), tables.n_layers - 1
    text = (
        f"The forward signal explodes: the output layer {tables.names[last]} puts out {significant(size)} (RMS) from "
        "the start, where about 1 is usual."
    )
    margin = size / limits.largest_logits
    name = "exploding_signal"
    return [
        held.told(
            name,
            Severity.WARNING,
            text,
            margin=margin,
            page=Page.LAYERS,
            layers=(last,),
            kind=Kind.ACTIVATION,
        )
    ]
