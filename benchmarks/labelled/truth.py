"""What may rightly be said of each planted fault. Fixed before any threshold was chosen."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.labelled.cases import Case
from benchmarks.labelled.data import task
from gradscope.analysis.findings import Tables
from gradscope.records import Status


@dataclass(frozen=True, kw_only=True)
class Truth:
    """Of one fault."""

    expected: frozenset[str]
    """A diagnosis that tells one of these has found the fault."""
    also: frozenset[str]
    """What comes of it: true where it is told, and nothing is missed where it is not."""
    always: bool = False
    """Whether it is a fault even where the training ends well."""


def _truth(expected: str, also: str, always: bool = False) -> Truth:
    return Truth(expected=frozenset(expected.split()), also=frozenset(also.split()), always=always)


TRUTHS: Mapping[str, Truth] = {
    "vanishing": _truth("vanishing_gradient", "no_update slow_convergence plateau saturated_units"),
    "exploding": _truth("exploding_gradient exploding_signal", "large_update nonfinite dead_units oscillating_loss"),
    "dying_signal": _truth("dying_signal", "vanishing_gradient no_update slow_convergence plateau"),
    "dead_units": _truth("dead_units", "no_update no_gradient slow_convergence plateau"),
    "saturated_units": _truth(
        "saturated_units", "vanishing_gradient exploding_signal slow_convergence oscillating_loss plateau"
    ),
    "tiny_rate": _truth("no_update", "slow_convergence plateau"),
    "small_rate": _truth("slow_convergence", "no_update plateau"),
    "large_rate": _truth(
        "large_update",
        "oscillating_loss nonfinite exploding_signal exploding_gradient dead_units saturated_units plateau",
    ),
    "oscillating": _truth(
        "oscillating_loss", "large_update saturated_units exploding_signal exploding_gradient plateau"
    ),
    "no_gradient": _truth("no_gradient", "slow_convergence plateau", always=True),
    "nonfinite": _truth("nonfinite", "", always=True),
    "clipped": _truth("clipping", "no_update slow_convergence plateau"),
    "amplified": _truth(
        "amplification",
        "large_update exploding_gradient saturated_units dying_signal plateau oscillating_loss nonfinite",
    ),
    "unlearnable": _truth("plateau", "overfitting", always=True),
    "overfitting": _truth("overfitting", "", always=True),
    "raw_inputs": _truth(
        "input_scale",
        "exploding_signal exploding_gradient large_update nonfinite saturated_units dead_units plateau "
        "oscillating_loss",
    ),
    "wrong_output": _truth("output_activation", "slow_convergence plateau vanishing_gradient", always=True),
    "wrong_loss": _truth("wrong_loss", "exploding_signal exploding_gradient large_update nonfinite", always=True),
    "overflowing": _truth("amp_overflow", "", always=True),
    "conflicting": _truth("gradient_conflict", "slow_convergence plateau", always=True),
}

GOOD = {"blobs": 0.96, "circles": 0.98, "digits": 0.95, "cifar": 0.74}
"""Validation accuracy that a good network of this size reaches, from the first healthy runs."""

WELL = 0.75
"""Share of the way from chance to GOOD from which on a run has learned."""


def learned(case: Case, tables: Tables) -> bool:
    """Whether the training ended well: what makes a healthy run healthy, and a planted fault without effect."""
    known = tables.val_accuracy.finite
    if not known.size or tables.status is Status.DIVERGED:
        return False
    chance = task(case.data).chance
    return bool(known[-1] >= chance + WELL * (GOOD[case.data] - chance))


def overfits(tables: Tables) -> bool:
    """Whether the validation loss has risen by a quarter, to twice the training loss of the last epoch.

    The last three validations have their median taken: one by itself is noise.
    """
    val, train = tables.val_loss.finite, tables.loss
    if not val.size or len(tables.val_loss) < 2:
        return False
    epoch, last = train.values[train.steps > tables.val_loss.steps[-2]], float(np.median(val[-3:]))
    return bool(last > 1.25 * val.min() > 0 and last > 2 * np.mean(epoch))


def label(case: Case, tables: Tables) -> str:
    """`healthy`, `faulty`, or `unclear`: healthy settings that did not learn or that overfit, a fault without harm."""
    if case.fault == "healthy":
        return "healthy" if learned(case, tables) and not overfits(tables) else "unclear"
    return "faulty" if TRUTHS[case.fault].always or not learned(case, tables) else "unclear"
