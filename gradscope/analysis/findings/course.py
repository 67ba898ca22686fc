"""The course of the loss: a plateau from the start, slow convergence, swings, overfitting."""

import math

import numpy as np

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.learning import BLOCKS, has_learned, is_due, smoothed, smoothed_with_error, start_level
from gradscope.analysis.findings.spell import since
from gradscope.analysis.findings.tables import Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.findings.updates import resting, typical_ratio
from gradscope.analysis.wording import count, percent, significant

_RISE = 0.05
"""Rise from one piece of the loss to the next that counts as a swing, in units of a network that knows nothing."""
_FEWEST_SWINGS = 4


def plateau(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The loss has never left the level of a network that knows nothing."""
    steps, level = smoothed(tables.loss)
    if not level.size or not is_due(tables, limits):
        return []
    start = start_level(tables)
    now = float(np.median(level[-3:]))
    if (
        start <= 0
        or np.quantile(level, 0.2) < (1 - limits.plateau_fall) * start
        or now < (1 - limits.plateau_fall) * start
    ):
        return []
    text = (
        f"Nothing is learned: after {count(tables.last_step + 1)} steps the loss is {significant(now)}, and "
        f"{significant(start)} is that of a network that knows nothing."
    )
    margin = 1.3 + now / start - 1
    return [since(int(steps[0])).told("plateau", Severity.CRITICAL, text, margin=margin, page=Page.CURVES)]


def slow_convergence(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The loss hardly falls, and each step changes the weights by very little of their size."""
    steps, level = smoothed(tables.loss)
    ratio = tables.update_ratio
    if not level.size or ratio is None or not len(ratio) or not is_due(tables, limits):
        return []
    sizes = typical_ratio(ratio)[~resting(tables, ratio.steps)]
    size = float(np.nanmedian(sizes)) if sizes.size else math.nan
    if not limits.least_update <= size < limits.slow_update or has_learned(tables, limits):
        return []
    fall = 1 - float(np.median(level[-2:])) / float(level[0])
    text = (
        f"It learns too slowly: each step changes the weights by {significant(size)} of their size, and in "
        f"{count(tables.last_step + 1)} steps the loss has fallen by {percent(max(fall, 0.0))}."
    )
    margin = limits.slow_update / size
    return [since(int(steps[0])).told("slow_convergence", Severity.WARNING, text, margin=margin, page=Page.CURVES)]


def oscillating(tables: Tables, limits: Thresholds) -> list[Finding]:
    """The smoothed loss goes up again and again, in all by more than it typically is, or than knowing nothing costs.

    A rise counts if it is more than the noise of the batches can make: twice the standard error of the medians.
    """
    steps, level, error = smoothed_with_error(tables.loss)
    start = max(start_level(tables), float(np.median(level))) if level.size else 0.0
    if level.size < BLOCKS // 2 or not start > 0 or not is_due(tables, limits):
        return []
    moves = np.diff(level)
    counts = moves > np.maximum(_RISE * start, 2 * np.hypot(error[1:], error[:-1]))
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
    """The validation loss has risen well above its lowest while that of the training went on falling."""
    val, (_, level) = tables.val_loss, smoothed(tables.loss)
    known = np.isfinite(val.values)
    values = val.values[known]
    if not level.size or values.size < 4 or values.argmin() > values.size - 3 or values.min() <= 0:
        return []
    lowest, now = float(values.min()), float(np.median(values[-3:]))
    rise, train = now / lowest - 1, float(np.median(level[-2:]))
    lost = now - lowest > limits.overfitting_loss * start_level(tables)
    if rise < limits.overfitting_rise or now < limits.overfitting_gap * train or not lost:
        return []
    began = int(val.steps[known][values.argmin()])
    text = (
        f"It overfits: since step {count(began)} the validation loss has risen by {percent(rise)} while the training "
        "loss fell on."
    )
    margin = rise / limits.overfitting_rise
    return [since(began).told("overfitting", Severity.WARNING, text, margin=margin, page=Page.CURVES)]
