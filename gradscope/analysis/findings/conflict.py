"""Do the terms of the loss, or the exits of a network, pull against each other?"""

import numpy as np

from gradscope.analysis.findings.finding import Finding, Page, Severity
from gradscope.analysis.findings.learning import at_rest, has_learned, is_due
from gradscope.analysis.findings.pairs import TermPair
from gradscope.analysis.findings.spell import Spell, spell
from gradscope.analysis.findings.tables import Flags, Steps, Tables
from gradscope.analysis.findings.thresholds import Thresholds
from gradscope.analysis.findings.units import named
from gradscope.analysis.findings.updates import converged, resting
from gradscope.analysis.wording import percent, significant
from gradscope.records import Kind

_FEWEST_LAYERS = 0.3
"""Share of the layers that both terms reach, which have to be torn."""

_NOW_AND_THEN = 0.2
"""Share of the records that are enough where nothing is learned: what both ask for is then little, and drowns in what
the pictures of a batch happen to be."""

_KNOWS = 0.8
"""Training accuracy from which on a loss that falls no more has come to rest, and is not held up by the conflict."""


def gradient_conflict(tables: Tables, limits: Thresholds) -> list[Finding]:
    """Two terms of the loss ask most of the layers that they share for opposite steps, while there is much to learn.

    Where a training that knows its pictures has come to rest the terms balance each other, which is as it should be:
    those steps say nothing, and what was seen before them holds.
    """
    found = [_of_pair(tables, pair, limits) for pair in tables.terms if len(pair.steps)]
    return [finding for finding in found if finding is not None]


def _of_pair(tables: Tables, pair: TermPair, limits: Thresholds) -> Finding | None:
    meant = converged(tables, pair.steps) | resting(tables, pair.steps) | _balanced(tables, limits, pair.steps)
    learning = pair.at(~meant)
    torn = (learning.cosine <= limits.conflict_cosine) & (learning.balance >= limits.conflict_balance)
    shared = np.isfinite(learning.cosine).sum(axis=1)
    over = np.asarray(torn.sum(axis=1) >= np.maximum(_FEWEST_LAYERS * shared, 1))
    held = spell(learning.steps, over, tables.horizon)
    if (held is None or held.until is not None) and _learns_nothing(tables, limits) and over.mean() >= _NOW_AND_THEN:
        first = int(over.argmax())
        began, share = int(learning.steps[first]), float(over[first:].mean())
        held = Spell(since=began, until=None, share=share, first=first, last=over.size - 1)
    return None if held is None else _told(tables, learning, torn, over, held, limits)


def _balanced(tables: Tables, limits: Thresholds, steps: Steps) -> Flags:
    """At which of the steps the loss falls no more, and not because little is learned, as far as that is recorded."""
    rest, accuracy = at_rest(tables, limits, steps), tables.accuracy
    place = np.searchsorted(accuracy.steps, steps, side="right") - 1
    known = np.flatnonzero(place >= 0)
    rest[known] &= ~(accuracy.values[place[known]] < _KNOWS)
    return rest


def _learns_nothing(tables: Tables, limits: Thresholds) -> bool:
    return is_due(tables, limits) and not has_learned(tables, limits)


def _told(tables: Tables, pair: TermPair, torn: Flags, over: Flags, held: Spell, limits: Thresholds) -> Finding:
    seen = np.arange(over.size)[held.first : held.last + 1][over[held.first : held.last + 1]]
    often = torn[seen].mean(axis=0)
    layers = np.flatnonzero(often >= min(0.5, often.max()))
    cosine = float(np.nanmedian(pair.cosine[np.ix_(seen, layers)]))
    balance = float(np.nanmedian(pair.balance[np.ix_(seen, layers)]))
    text = (
        f"The terms {pair.term} and {pair.other} pull against each other in {named(tables.names, layers)}: the cosine "
        f"of their gradients is {significant(cosine)}, and the smaller has {percent(balance)} of the size of the "
        "larger."
    )
    return held.told(
        *("gradient_conflict", Severity.WARNING, text),
        margin=cosine / limits.conflict_cosine,
        page=Page.LAYERS,
        layers=[int(i) for i in layers],
        kind=Kind.GRADIENT,
    )
