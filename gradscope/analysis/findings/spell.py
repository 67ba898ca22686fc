"""When something held: from a yes or no at every recorded step to since when, until when, and how steadily."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradscope.analysis.findings.finding import Evidence, Finding, Page, Severity
from gradscope.analysis.findings.tables import Flags, Numbers, Steps
from gradscope.records import Kind

RECENT = 5
"""Records that say how it is now."""

NOW_SHARE = 0.6
"""Of the recent records, that say yes."""

LASTING_SHARE = 0.2
"""Of the training's steps: what held so long and is over now is still told."""


@dataclass(frozen=True, kw_only=True)
class Spell:
    """A time during which something held at most records."""

    since: int
    until: int | None
    """None if it still holds."""
    share: float
    """Of the records in between, at which it held; in 0..1."""
    first: int
    """Place of `since` among the records."""
    last: int
    """Place of the last record of it."""

    def told(
        self,
        name: str,
        severity: Severity,
        text: str,
        *,
        margin: float,
        page: Page,
        layers: Sequence[int] = (),
        layer: int | None = None,
        kind: Kind | None = None,
    ) -> Finding:
        """A finding of what held in this time; what is over is no longer critical.

        Args:
            name: of the finding.
            severity: while it lasts.
            text: one sentence.
            margin: what was measured over its threshold, at least 1: half sure at 1, and nearly sure from 2 on.
            page: where it is seen, at the spell's first step.
            layers: concerned.
            layer: to look at on that page; the first of the layers by default.
            kind: of tensor to look at.
        """
        if self.until is not None and severity is Severity.CRITICAL:
            severity = Severity.WARNING
        at = layer if layer is not None else min(layers, default=None)
        return Finding(
            name=name,
            severity=severity,
            text=text,
            layers=tuple(layers),
            since=self.since,
            until=self.until,
            confidence=round(self.share * (1 - 0.5 / min(max(margin, 1.0), 100.0) ** 2), 2),
            evidence=Evidence(page=page, step=self.since, layer=at, kind=kind),
        )


def since(step: int) -> Spell:
    """A time that began at a step and goes on, for what is not judged record by record."""
    return Spell(since=step, until=None, share=1.0, first=0, last=0)


def spell(steps: Steps, held: Flags, horizon: int, known: Flags | None = None) -> Spell | None:
    """The latest time during which it held; None if it never did, or only for a moment long ago.

    Args:
        steps: the recorded steps, shape (S,).
        held: at which of them, shape (S,).
        horizon: steps of the whole training.
        known: at which of them that can be said, shape (S,); the others say nothing: all of them by default.
    """
    if known is not None:
        places = np.flatnonzero(known)
        found = spell(steps[places], held[places], horizon)
        return found and replace(found, first=int(places[found.first]), last=int(places[found.last]))
    if not held.any():
        return None
    if held[-RECENT:].mean() >= NOW_SHARE:
        first = _begin(held)
        return Spell(
            since=int(steps[first]), until=None, share=float(held[first:].mean()), first=first, last=held.size - 1
        )
    first, last = _longest(held)
    if steps[last] - steps[first] < LASTING_SHARE * horizon:
        return None
    return Spell(since=int(steps[first]), until=int(steps[last]), share=1.0, first=first, last=last)


def _begin(held: Flags) -> int:
    """The earliest record from which on it held at four of five."""
    shares = held[::-1].cumsum()[::-1] / np.arange(held.size, 0, -1)
    return int(np.flatnonzero(held & (shares >= min(0.8, shares[held].max())))[0])


def _longest(held: Flags) -> tuple[int, int]:
    """First and last place of the longest row of yes; a single no between two of them does not end it."""
    closed = held.copy()
    closed[1:-1] |= held[:-2] & held[2:]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], closed.astype(np.int8), [0]])))
    begins, ends = edges[::2], edges[1::2]
    best = int((ends - begins).argmax())
    return int(begins[best]), int(ends[best]) - 1


def median_of(values: Numbers, found: Spell) -> float:
    """Median of a series over the records of a spell."""
    return float(np.nanmedian(values[found.first : found.last + 1]))
