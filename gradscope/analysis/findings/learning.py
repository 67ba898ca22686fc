"""Has it learned anything? The loss without the noise of its batches, and the level that it starts from."""

import math

import numpy as np

from gradscope.analysis.findings.spell import LASTING_SHARE, Spell, spell
from gradscope.analysis.findings.tables import Curve, Flags, Numbers, Steps, Tables
from gradscope.analysis.findings.thresholds import Thresholds

FEWEST = 24
"""Losses below which there is no course to judge."""

BLOCKS = 24
"""Pieces into which the losses are cut; the median of each is free of the batches' noise."""


def smoothed(loss: Curve) -> tuple[Numbers, Numbers]:
    """Steps and medians of about 24 pieces of equal length; empty with too few losses."""
    steps, level, _ = smoothed_with_error(loss)
    return steps, level


def smoothed_with_error(loss: Curve) -> tuple[Numbers, Numbers, Numbers]:
    """The same, and the standard error of each median: 1.25 times the spread over the root of the number.

    The spread is the median absolute deviation from the median, times 1.48 as for Gaussian noise.
    """
    known = np.isfinite(loss.values)
    values, steps = loss.values[known], loss.steps[known].astype(np.float64)
    if values.size < FEWEST:
        return np.array([]), np.array([]), np.array([])
    length = values.size // BLOCKS
    used = values.size // length * length
    pieces = values[:used].reshape(-1, length)
    level = np.median(pieces, axis=1)
    spread = 1.48 * np.median(np.abs(pieces - level[:, None]), axis=1)
    return steps[:used].reshape(-1, length)[:, 0], level, 1.25 * spread / np.sqrt(length)


def start_level(tables: Tables) -> float:
    """The loss of a network that knows nothing: ln K for K classes, as far as it starts anywhere near, else the first.

    A bad start lies above ln K, and to come down to it is not yet learning. A sum of several terms, such as those of
    many exits, begins where it begins.
    """
    first = float(np.median(tables.loss.finite[:5])) if len(tables.loss.finite) else math.nan
    chance = math.log(tables.n_outputs) if tables.classifies and not tables.terms else math.nan
    return min(first, chance) if 0.7 * chance < first else first


def learned_at(tables: Tables, limits: Thresholds) -> int | None:
    """The step from which on the loss is clearly below that of a network that knows nothing; None if it never is."""
    steps, level = smoothed(tables.loss)
    recent = tables.loss.finite[-10:]
    if not level.size:
        steps, level = (
            np.array([float(tables.last_step)]),
            np.array([np.median(recent) if recent.size >= 5 else np.nan]),
        )
    below = level < (1 - limits.slow_fall) * start_level(tables)
    now = float(np.median(level[-2:]))
    if not now < (1 - limits.slow_fall) * start_level(tables):
        return None
    above = np.flatnonzero(~below)
    return int(steps[min(int(above[-1]) + 1, steps.size - 1)]) if above.size else int(steps[0])


def has_learned(tables: Tables, limits: Thresholds) -> bool:
    """Whether the loss is clearly below that of a network that knows nothing."""
    return learned_at(tables, limits) is not None


def is_due(tables: Tables, limits: Thresholds) -> bool:
    """Whether enough of the training is over for the course of the loss to be judged."""
    return tables.last_step >= limits.told_after * tables.horizon


def from_the_start(tables: Tables, limits: Thresholds, steps: Steps, over: Flags) -> Spell | None:
    """A spell; one that held at the start lasts until something is learned, although what came of it soon hides it."""
    held = spell(steps, over, tables.horizon)
    if not over[0] or (held is not None and held.until is None):
        return held
    last = over.size - 1 if over.all() else int(over.argmin()) - 1
    began, learned = int(steps[0]), learned_at(tables, limits)
    if learned is None:
        return Spell(since=began, until=None, share=1.0, first=0, last=last)
    if learned - began >= LASTING_SHARE * tables.horizon:
        return Spell(since=began, until=learned, share=1.0, first=0, last=last)
    return held
