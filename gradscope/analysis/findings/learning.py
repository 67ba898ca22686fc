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

_FEWEST_A_PIECE = 4

_GUESS = 0.1
"""Share of what lies between the accuracy of a guess and 1, below which nothing is known."""
_NO_BETTER = 0.98
"""Share of ln K down to which a validation loss says the same."""

_NEAR_START, _FOR_A_TIME = 0.02, 0.05
"""Shares of the training."""

_REST_WINDOW = 1 / 12
"""Share of the training over which a loss that has come to rest falls no more."""
_REST_FALL = 0.02
"""By which share of the loss of a network that knows nothing it falls at most in that time."""


def smoothed(loss: Curve) -> tuple[Numbers, Numbers]:
    """Steps and medians of about 24 pieces of equal length; empty with too few losses."""
    steps, level, _ = _pieces(loss, len(loss.finite) // BLOCKS)
    return steps, level


def planned_pieces(tables: Tables) -> tuple[Numbers, Numbers, Numbers]:
    """Steps, medians and standard errors of pieces of one 24th of the planned training, those that are full.

    They stay as they are while the training goes on, so that what was seen in them is not unseen; each has at least
    four losses. The standard error of a median is 1.25 times the spread over the root of the number; the spread is the
    median absolute deviation from the median, times 1.48 as for Gaussian noise.
    """
    steps = tables.loss.steps
    apart = float(np.median(np.diff(steps))) if steps.size > 1 else 1.0
    return _pieces(tables.loss, max(_FEWEST_A_PIECE, round(tables.horizon / max(apart, 1.0) / BLOCKS)))


def _pieces(loss: Curve, length: int) -> tuple[Numbers, Numbers, Numbers]:
    known = np.isfinite(loss.values)
    values, steps = loss.values[known], loss.steps[known].astype(np.float64)
    if values.size < FEWEST:
        return np.array([]), np.array([]), np.array([])
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
    chance = chance_level(tables)
    return min(first, chance) if 0.0 < 0.7 * chance < first else first


def chance_level(tables: Tables) -> float:
    """Cross entropy of one who guesses among K classes, ln K; 0 where nothing of the kind is known."""
    return math.log(tables.n_outputs) if tables.classifies and not tables.terms else 0.0


def guesses(tables: Tables, accuracy: Curve) -> bool:
    """Whether an accuracy of K classes is no better than a guess, and the validation loss no lower than ln K.

    The accuracy is the median of the last three; a guess has less than a tenth of what lies between 1/K and 1. Where
    one class is commoner than that, or accuracies are in per cent, the answer is no.
    """
    known, val = accuracy.finite, tables.val_loss.finite
    if not known.size or tables.n_outputs < 2:
        return False
    chance = 1 / tables.n_outputs
    above_chance = bool(val.size and val.min() < _NO_BETTER * math.log(tables.n_outputs))
    return bool(np.median(known[-3:]) < chance + _GUESS * (1 - chance)) and not above_chance


def _only_guesses(tables: Tables) -> bool:
    """Whether all accuracies say so: the sum of several terms may fall from a bad start with nothing learned."""
    logged = [a for a in (tables.accuracy, tables.val_accuracy) if len(a.finite)]
    return bool(logged) and all(guesses(tables, accuracy) for accuracy in logged)


def learned_at(tables: Tables, limits: Thresholds) -> int | None:
    """The step from which on the loss is clearly below that of a network that knows nothing; None if it never is."""
    if _only_guesses(tables):
        return None
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


def learned_share(tables: Tables) -> float | None:
    """By which share the loss has come down from that of a network that knows nothing; None if that is not known."""
    recent, start = tables.loss.finite[-10:], start_level(tables) if len(tables.loss.finite) else math.nan
    return 1 - float(np.median(recent)) / start if recent.size >= 5 and start > 0 else None


def has_learned(tables: Tables, limits: Thresholds) -> bool:
    """Whether the loss is clearly below that of a network that knows nothing."""
    return learned_at(tables, limits) is not None


def at_rest(tables: Tables, limits: Thresholds, steps: Steps) -> Flags:
    """At which of the steps the loss had fallen clearly, and fell no more: the median of a time against that before."""
    known = np.isfinite(tables.loss.values)
    at, values = tables.loss.steps[known], tables.loss.values[known]
    start, length = start_level(tables), max(_REST_WINDOW * tables.horizon, 1.0)
    flags = np.zeros(len(steps), dtype=bool)
    if _only_guesses(tables):
        return flags
    for i, step in enumerate(steps):
        before, now = (values[(at > step - (k + 1) * length) & (at <= step - k * length)] for k in (1, 0))
        if min(before.size, now.size) >= _FEWEST_A_PIECE:
            level, fall = float(np.median(now)), float(np.median(before) - np.median(now))
            flags[i] = level < (1 - limits.slow_fall) * start and fall < _REST_FALL * start
    flags[1:-1] |= flags[:-2] & flags[2:]  # one between two of them is a batch's noise
    return flags


def falls_by(tables: Tables) -> float:
    """By how much the loss fell over the last third, in units of that of a network that knows nothing; NaN: unknown."""
    _, level = smoothed(tables.loss)
    third = level.size // 3
    before, now = level[-third - 3 : -third], level[-3:]
    return float(np.median(before) - np.median(now)) / start_level(tables) if third else math.nan


def is_due(tables: Tables, limits: Thresholds) -> bool:
    """Whether enough of the training is over for the course of the loss to be judged."""
    return tables.last_step >= limits.told_after * tables.horizon


def from_the_start(tables: Tables, limits: Thresholds, steps: Steps, over: Flags) -> Spell | None:
    """A spell; one that held from near the start lasts until something is learned, although what came of it hides it.

    Near is within the first `_NEAR_START` of the training, as the first steps may make it, where it then holds for a
    time; what holds before the first step is not made by one.
    """
    held = spell(steps, over, tables.horizon)
    first = int(over.argmax())
    if not over[first] or steps[first] > _NEAR_START * tables.horizon or (held is not None and held.until is None):
        return held
    last = over.size - 1 if over[first:].all() else first + int(over[first:].argmin()) - 1
    if first > 0 and steps[last] - steps[first] < _FOR_A_TIME * tables.horizon:
        return held
    began, learned = int(steps[first]), learned_at(tables, limits)
    if learned is None:
        return Spell(since=began, until=None, share=1.0, first=first, last=last)
    if learned - began >= LASTING_SHARE * tables.horizon:
        return Spell(since=began, until=learned, share=1.0, first=first, last=last)
    return held
