"""The course of the loss: a plateau from the start, slow convergence, swings, overfitting."""

import math

import numpy as np

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.learning import (
    BLOCKS,
    chance_level,
    falls_by,
    guesses,
    has_learned,
    is_due,
    learned_share,
    planned_pieces,
    smoothed,
    start_level,
)
from gradscope.analysis.findings.spell import since
from gradscope.analysis.findings.tables import Numbers, Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.findings.updates import resting, typical_ratio
from gradscope.analysis.wording import count, percent, significant

_RISE = 0.05
"""Rise from one piece of the loss to the next that counts as a swing, in units of a network that knows nothing."""
_NOISE = 0.5
"""Standard errors of the medians that a rise must exceed: more would hide a training that swings within each piece."""
_FEWEST_SWINGS = 4

_FEWEST_VALIDATIONS = 3

_HOLDS = 0.03
"""Accuracy within which of its best it is as good as ever."""
_LITTLE, _NO_MORE = 0.2, 1.05
"""Training loss, in units of a network that knows nothing, that is little where the accuracies are far apart; and
validation loss over its lowest that falls no more."""

_EARLY = 0.5
"""Share of the training before which a plateau may yet be left, as healthy deep networks leave it."""


def plateau(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The loss has never left the level of a network that knows nothing, or what it learns holds for nothing else."""
    steps, level = smoothed(tables.loss)
    if not level.size or not is_due(tables, limits):
        return []
    start, now = start_level(tables), float(np.median(level[-3:]))
    if start > 0 and min(np.quantile(level, 0.2), now) >= (1 - limits.plateau_fall) * start:
        text = (
            f"Nothing is learned: after {count(tables.last_step + 1)} steps the loss is {significant(now)}, and "
            f"{significant(start)} is that of a network that knows nothing."
        )
        margin = 1.3 + now / start - 1
    elif len(tables.val_accuracy.finite) >= _FEWEST_VALIDATIONS and guesses(tables, tables.val_accuracy):
        text = (
            f"Nothing is learned that holds for other pictures: after {count(tables.last_step + 1)} steps the "
            f"validation accuracy is {percent(float(np.median(tables.val_accuracy.finite[-3:])))}, that of a guess."
        )
        margin = 1.5
    else:
        return []
    severity = Severity.NOTE if tables.last_step < _EARLY * tables.horizon else Severity.CRITICAL
    return [since(int(steps[0])).told("plateau", severity, text, margin=margin, page=Page.CURVES)]


def slow_convergence(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The loss hardly falls, or falls on with far to go, and each step changes the weights by very little."""
    steps, level = smoothed(tables.loss)
    ratio = tables.update_ratio
    if not level.size or ratio is None or not len(ratio) or not is_due(tables, limits):
        return []
    sizes = typical_ratio(ratio)[~resting(tables, ratio.steps)]
    size = float(np.nanmedian(sizes)) if sizes.size else math.nan
    if not limits.least_update <= size < limits.slow_update or not _has_far_to_go(tables, limits):
        return []
    fall = 1 - float(np.median(level[-2:])) / float(level[0])
    text = (
        f"It learns too slowly: each step changes the weights by {significant(size)} of their size, and in "
        f"{count(tables.last_step + 1)} steps the loss has fallen by {percent(max(fall, 0.0))}."
    )
    margin = limits.slow_update / size
    return [since(int(steps[0])).told("slow_convergence", Severity.WARNING, text, margin=margin, page=Page.CURVES)]


def _has_far_to_go(tables: Tables, limits: Thresholds) -> bool:
    """Whether the loss has gone nowhere, or is still high and would go on falling if the training went on."""
    left = 1 - (learned_share(tables) or 0.0)
    return not has_learned(tables, limits) or (left > limits.slow_left and falls_by(tables) > limits.slow_gain)


def oscillating(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The smoothed loss goes up again and again, in all by more than it typically is, or than knowing nothing costs.

    A rise counts if it is more than a twentieth of that, and than half of what the noise of the batches makes.
    """
    steps, level, error = planned_pieces(tables)
    start = max(start_level(tables), chance_level(tables), float(np.median(level))) if level.size else 0.0
    if level.size < limits.told_after * BLOCKS or not start > 0:
        return []
    moves = np.diff(level)
    counts = moves > np.maximum(_RISE * start, _NOISE * np.hypot(error[1:], error[:-1]))
    swings, total = int(counts.sum()), float(moves[counts].sum() / start)
    if total < limits.swings or swings < _FEWEST_SWINGS:
        return []
    began = int(steps[int(counts.argmax())])
    text = (
        f"The loss swings: since step {count(began)} it rose {swings} times, in all by {significant(total * start)}, "
        f"which is {significant(total)} times its usual height."
    )
    margin = total / limits.swings
    return [since(began).told("oscillating_loss", Severity.WARNING, text, margin=margin, page=Page.CURVES)]


def overfitting(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The validation loss has risen well above its lowest, or the training pictures alone are known by heart."""
    val, (_, level) = tables.val_loss, smoothed(tables.loss)
    known = np.isfinite(val.values)
    values = val.values[known]
    if not level.size or values.size < 4 or values.min() <= 0 or not has_learned(tables, limits):
        return []
    lowest, now = float(values.min()), float(np.median(values[-3:]))
    train, start = float(np.median(level[-2:])), start_level(tables)
    began = int(val.steps[known][values.argmin()])
    if _has_risen(values, now, train, start, limits) and now / lowest - 1 >= _rise_that_harms(tables, limits):
        rise = now / lowest - 1
        seen, margin = f"the validation loss has risen by {percent(rise)}", rise / limits.overfitting_rise
    elif now > limits.overfitting_level * start and _knows_by_heart(tables, train / start, now / lowest, limits):
        seen = f"the validation loss falls no more and is {significant(now)}"
        margin = now / (limits.overfitting_level * start)
    else:
        return []
    text = f"It overfits: since step {count(began)} {seen} while the training loss fell on, to {significant(train)}."
    return [since(began).told("overfitting", Severity.WARNING, text, margin=margin, page=Page.CURVES)]


def _rise_that_harms(tables: Tables, limits: Thresholds) -> float:
    """0, but twice the usual rise where the accuracy is as good as ever: the network is only too sure of itself."""
    accuracy = tables.val_accuracy.finite
    holds = accuracy.size > 0 and float(np.median(accuracy[-3:])) >= accuracy.max() - _HOLDS
    return 2 * limits.overfitting_rise if holds else 0.0


def _knows_by_heart(tables: Tables, left: float, risen: float, limits: Thresholds) -> bool:
    """Whether hardly any training loss is left, or little of it, and the accuracies are far apart.

    The first is in units of a network that knows nothing; `risen` is the validation loss over its lowest.
    """
    train, val = tables.accuracy.finite, tables.val_accuracy.finite
    apart = min(train.size, val.size) > 0 and float(np.median(train[-3:]) - np.median(val[-3:])) >= limits.apart
    return left < limits.by_heart or (apart and left < _LITTLE and risen > _NO_MORE)


def _has_risen(values: Numbers, now: float, train: float, start: float, limits: Thresholds) -> bool:
    """Whether the validation loss is far above its lowest, the training loss, and what is noise."""
    lowest, noise = float(values.min()), float(np.median(np.abs(np.diff(values))))
    lost = now - lowest > limits.overfitting_loss * start
    share = limits.overfitting_rise * (0.5 if now - lowest > limits.overfitting_noise * noise else 1.0)
    rose = now / lowest - 1 >= share and values.argmin() <= values.size - 3
    return bool(rose and lost and now >= limits.overfitting_gap * train)
