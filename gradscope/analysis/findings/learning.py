"""Has it learned anything? The loss without the noise of its batches, and the level that it starts from."""

import math

import numpy as np

from gradscope.analysis.findings.spell import Spell, spell
from gradscope.analysis.findings.tables import Curve, Flags, Numbers, Steps, Tables
from gradscope.analysis.findings.thresholds import Thresholds

FEWEST = 24
"""Losses below which there is no course to judge."""

BLOCKS = 24
"""Pieces into which the losses are cut; the median of each is free of the batches' noise."""


def smoothed(loss: Curve) -> tuple[Numbers, Numbers]:
    """Steps and medians of about 24 pieces of equal length; empty with too few losses."""
    known = np.isfinite(loss.values)
    values, steps = loss.values[known], loss.steps[known].astype(np.float64)
    if values.size < FEWEST:
        return np.array([]), np.array([])
    length = values.size // BLOCKS
    used = values.size // length * length
    return steps[:used].reshape(-1, length)[:, 0], np.median(values[:used].reshape(-1, length), axis=1)


def start_level(tables: Tables) -> float:
    """The loss of a network that knows nothing: ln K for K classes, as far as it starts anywhere near, else the first.

    A bad start lies above ln K, and to come down to it is not yet learning.
    """
    first = float(np.median(tables.loss.finite[:5])) if len(tables.loss.finite) else math.nan
    chance = math.log(tables.n_outputs) if tables.classifies else math.nan
    return min(first, chance) if 0.7 * chance < first else first


def has_learned(tables: Tables, limits: Thresholds) -> bool:
    """Whether the loss is clearly below that of a network that knows nothing."""
    _, level = smoothed(tables.loss)
    recent = tables.loss.finite[-10:]
    now = float(np.median(level[-2:])) if level.size else float(np.median(recent)) if recent.size >= 5 else math.nan
    return now < (1 - limits.slow_fall) * start_level(tables)


def is_due(tables: Tables, limits: Thresholds) -> bool:
    """Whether enough of the training is over for the course of the loss to be judged."""
    return tables.last_step >= limits.told_after * tables.horizon


def from_the_start(tables: Tables, limits: Thresholds, steps: Steps, over: Flags) -> Spell | None:
    """A spell; one that held at the start lasts until something is learned, although what came of it soon hides it."""
    held = spell(steps, over, tables.horizon)
    if (held is None or held.until is not None) and over[0] and not has_learned(tables, limits):
        last = over.size - 1 if over.all() else int(over.argmin()) - 1
        return Spell(since=int(steps[0]), until=None, share=1.0, first=0, last=last)
    return held
