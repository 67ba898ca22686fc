"""What pseudo-normalisation does to a net before training: decades given back, and a verdict in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gradscope.config import PseudoNorm
from gradscope.theory.gradient_flow import Array, Flow, Net, Passes, derivative_rms, multipliers, passes
from gradscope.theory.nets import Samples

FLAT_DECADES = 1.0
"""A signal that changes by less than a factor of ten from the last hidden layer to the first is healthy."""
EASED_SHARE = 0.2
"""Below this share of the loss given back, a treatment does nothing worth the name."""


class Effect(StrEnum):
    """What a treatment does to a net."""

    NOTHING_TO_CURE = "nothing to cure"
    CURES = "cures"
    EASES = "eases"
    DOES_NOTHING = "does nothing"
    EXPLODES = "explodes"
    WORSENS = "makes it worse"


@dataclass(frozen=True, kw_only=True)
class Decay:
    """Decades of the signal from the last hidden layer down to the first; negative where it vanishes."""

    plain: float
    treated: float
    derivatives: float
    """The part of the plain decay that the derivatives f' account for; the weights account for the rest."""


def decades(found: Flow) -> float:
    """log10 of the signal's RMS at the first layer over that at the last hidden one; -inf where it is lost."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        return float(np.log10(found.signal[0] / found.signal[-2]))


def decades_in_derivatives(found: Passes) -> float:
    """Sum of log10 RMS(f') over the layers that the signal crosses on its way from the last hidden layer."""
    return float(sum(np.log10(derivative_rms(d, "batch")).item() for d in found.derivatives[:-1]))


def effect(decay: Decay) -> Effect:
    """What the treatment does, by decades.

    A net whose signal loses less than a decade has nothing to cure, unless the treatment makes it grow by more; a
    cure brings it within a decade; `eases` gives back at least a fifth of what was lost.
    """
    if not decay.treated < FLAT_DECADES:  # also where it is not a number, beyond what a float holds
        return Effect.WORSENS if decay.plain >= FLAT_DECADES else Effect.EXPLODES
    if decay.plain > -FLAT_DECADES:
        return Effect.NOTHING_TO_CURE
    if decay.treated > -FLAT_DECADES:
        return Effect.CURES
    gained = decay.treated - decay.plain
    return Effect.EASES if gained >= EASED_SHARE * -decay.plain else Effect.DOES_NOTHING


def plain_sentence(decay: Decay) -> str:
    """How the untreated signal fares, and whose doing it is."""
    if decay.plain >= FLAT_DECADES:
        return (
            f"Plain, the signal grows by {decay.plain:.1f} decades on its way from the last hidden layer to the first."
        )
    if decay.plain > -FLAT_DECADES:
        return "Plain, the signal comes from the last hidden layer to the first within a factor of ten."
    return (
        f"Plain, the signal loses {-decay.plain:.1f} decades on its way from the last hidden layer to the first; "
        f"the derivatives alone take {-decay.derivatives:.1f}."
    )


def treated_sentence(decay: Decay) -> str:
    """What the treatment makes of it, in numbers."""
    return _SENTENCES[effect(decay)].format(treated=decay.treated, back=decay.treated - decay.plain)


_SENTENCES = {
    Effect.NOTHING_TO_CURE: "It still does ({treated:+.1f} decades).",
    Effect.CURES: "{back:.1f} decades come back: it now arrives within a factor of ten.",
    Effect.EASES: "{back:.1f} decades come back; it still vanishes.",
    Effect.DOES_NOTHING: "Only {back:.1f} decades come back: the weights, not the derivatives, eat the signal.",
    Effect.EXPLODES: "It grows by {treated:.1f} decades: the large weights now have nothing to hold them.",
    Effect.WORSENS: "It grows by {treated:.1f} decades.",
}


def decade_map(
    net: Net,
    samples: Samples,
    weight_scales: Sequence[float],
    bias_scales: Sequence[float],
    treatments: Sequence[PseudoNorm | None],
) -> Array:
    """Decades of decay over a grid of scales, shape (treatments, weight scales, bias scales).

    Every net of the grid has the same draws, so all of them go through in one tall batch. That batch is not one net's:
    the treatments must have scope sample.
    """
    images, labels = samples
    n, cells = len(labels), len(weight_scales) * len(bias_scales)
    s, t = (grid.repeat(n)[:, None] for grid in map(np.ravel, np.meshgrid(weight_scales, bias_scales, indexing="ij")))
    found = passes(net, np.tile(images, (cells, 1)), np.tile(labels, cells), s, t)
    maps = []
    for treatment in treatments:
        factors = multipliers(found, treatment)
        with np.errstate(all="ignore"):  # lost and exploded signals are results
            first, last = (
                np.square(factors[i] * found.errors[i]).reshape(cells, -1).mean(axis=1) for i in (0, len(factors) - 2)
            )
            maps.append(0.5 * np.log10(first / last))
    return np.array(maps).reshape(len(treatments), len(weight_scales), len(bias_scales))
