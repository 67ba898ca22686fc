"""Do the weights move? Updates too small, too large, and layers that get no gradient at all."""

from dataclasses import replace

import numpy as np

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.spell import Spell, median_of, since, spell
from gradscope.analysis.findings.tables import Flags, Grid, Numbers, Steps, Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.findings.units import named
from gradscope.analysis.medians import medians
from gradscope.analysis.wording import significant
from gradscope.records import Kind

_CONVERGED = 0.05
"""Share of its first value to which the loss has fallen where small updates are right."""

_FIRST_RECORDS = 3
"""Records before steps have their usual size."""

_SOON = 100
"""Steps, or a tenth of the training if that is less, in which weights grow by steps too large and not by learning."""

_RESTING = 0.1
"""Share of its peak below which a schedule holds the learning rate to let the weights come to rest."""


def typical_ratio(ratio: Grid) -> Numbers:
    """Median over the layers of RMS(update) / RMS(weight), at each recorded step; NaN where none is known."""
    return medians(ratio.rms, axis=1)


def converged(tables: Tables, steps: Steps) -> Flags:
    """At which of the steps the loss had fallen to a twentieth of its first value."""
    loss = tables.loss
    if len(loss.finite) < 2:
        return np.zeros(len(steps), dtype=bool)
    first = float(np.median(loss.finite[:5]))
    place = np.searchsorted(loss.steps, steps, side="right") - 1
    lowest = np.fmin.accumulate(np.where(np.isfinite(loss.values), loss.values, np.inf))
    return np.asarray(np.where(place >= 0, lowest[np.maximum(place, 0)] < _CONVERGED * abs(first), False))


def resting(tables: Tables, steps: Steps) -> Flags:
    """At which of the steps the schedule held the learning rate far below its peak: to move little is meant."""
    rate = tables.curve("learning_rate", "lr")
    if not len(rate.finite):
        return np.zeros(len(steps), dtype=bool)
    place = np.clip(np.searchsorted(rate.steps, steps, side="right") - 1, 0, len(rate) - 1)
    return np.asarray(rate.values[place] < _RESTING * rate.finite.max())


def no_update(tables: Tables, limits: Thresholds) -> list[Finding]:
    """A step changes the weights by less than `least_update` of their size, although nothing is learned yet."""
    ratio = tables.update_ratio
    if ratio is None or not len(ratio):
        return []
    sizes = typical_ratio(ratio)
    meant = converged(tables, ratio.steps) | resting(tables, ratio.steps)
    held = spell(ratio.steps, (sizes < limits.least_update) & ~meant, tables.horizon)
    if held is None:
        return []
    size = median_of(sizes, held)
    layers = np.flatnonzero(medians(ratio.rms[held.first : held.last + 1], axis=0) < limits.least_update)
    text = (
        f"The weights do not move: a step changes those of {named(tables.names, layers)} by {significant(size)} of "
        "their size, where a thousandth is usual."
    )
    return [
        held.told(
            *("no_update", Severity.CRITICAL, text),
            margin=limits.least_update / max(size, 1e-30),
            page=Page.LAYERS,
            layers=layers.tolist(),
            kind=Kind.GRADIENT,
        )
    ]


def large_update(tables: Tables, limits: Thresholds) -> list[Finding]:
    """A step changes the weights by more than `largest_update` of their size, or has soon written over them."""
    ratio, weight = tables.update_ratio, tables.grids.get(Kind.WEIGHT)
    if ratio is None or weight is None or not len(ratio):
        return []
    sizes = typical_ratio(ratio)
    over = sizes > limits.largest_update
    # the first steps of RMSprop and its like are larger than those that follow, but none writes over everything
    settled = (np.arange(sizes.size) >= _FIRST_RECORDS) | (sizes >= 1)
    known = np.isfinite(sizes)  # once the loss is not, nothing is
    held = _with_the_first(spell(ratio.steps, over & settled, tables.horizon, known), ratio.steps, over)
    grown = _growth(weight, tables.horizon)
    if held is not None:
        size = median_of(sizes, held)
        how = f"each changes the weights by {significant(size)} of their size, where a thousandth is usual"
        margin = size / limits.largest_update
    elif grown >= limits.overwritten:
        held = since(int(ratio.steps[0]))
        how = f"the weights have soon grown to {significant(grown)} times their first size"
        margin = grown / limits.overwritten
    else:
        return []
    layers = _over(ratio, held, limits.largest_update)
    text = f"The steps are too large: {how}."
    page, kind = Page.LAYERS, Kind.GRADIENT
    return [held.told("large_update", Severity.WARNING, text, margin=margin, page=page, layers=layers, kind=kind)]


def _with_the_first(held: Spell | None, steps: Steps, over: Flags) -> Spell | None:
    """A spell that began with the first records, if they are as those that follow after all."""
    if held is None or held.first > _FIRST_RECORDS or not over[: held.first].all():
        return held
    return replace(held, since=int(steps[0]), first=0)


def _over(ratio: Grid, held: Spell, limit: float) -> list[int]:
    middle = medians(ratio.rms[held.first : held.last + 1], axis=0)
    return [int(i) for i in np.flatnonzero(middle > limit)]


def _growth(weight: Grid, horizon: int) -> float:
    """Median over the layers of the weights' RMS soon after the start over that at the start; NaN: unknown."""
    soon = min(max(0.1 * horizon, 1), _SOON)
    early = int(np.searchsorted(weight.steps, soon, side="right")) - 1
    factors = np.where(weight.rms[0] > 0, weight.rms[max(early, 0)] / weight.rms[0], np.nan)
    return float(np.nanmedian(factors)) if np.isfinite(factors).any() else float("nan")


def no_gradient(tables: Tables, limits: Thresholds) -> list[Finding]:
    """A layer that may be trained gets no gradient, or exactly zero, at every step, while others get one."""
    grid = tables.grids.get(Kind.GRADIENT)
    if grid is None or not len(grid):
        return []
    empty = np.asarray(((grid.n == 0) | (np.nan_to_num(grid.zeros, nan=1.0) >= 1.0)).all(axis=0))
    layers, frozen = np.flatnonzero(empty & tables.trainable), np.flatnonzero(~tables.trainable)
    found = []
    if layers.size and not empty.all():
        why = "cut off from the loss" if (grid.n[:, layers] == 0).all() else "exactly zero at every recorded step"
        text = f"No gradient in {named(tables.names, layers)}: it is {why}, so that nothing is learned there."
        found.append(_untrained("no_gradient", Severity.CRITICAL, text, layers.tolist(), grid))
    if frozen.size:
        text = f"Frozen on purpose (requires_grad=False): {named(tables.names, frozen)}."
        found.append(_untrained("frozen", Severity.NOTE, text, frozen.tolist(), grid))
    return found


def _untrained(name: str, severity: Severity, text: str, layers: list[int], grid: Grid) -> Finding:
    began, page = since(int(grid.steps[0])), Page.LAYERS
    return began.told(name, severity, text, margin=10.0, page=page, layers=layers, kind=Kind.GRADIENT)
