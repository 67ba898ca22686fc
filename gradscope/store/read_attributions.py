"""The part of `read` that is about attributions: which there are, and the arrays themselves."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
from sqlalchemy import select

from gradscope.attributions import Attributions, Checks, Ints, Predictions, joined
from gradscope.measured import Attribution, Part
from gradscope.store.engine import Store
from gradscope.store.schema import AttributionRow

_COLUMNS = [getattr(AttributionRow, field.name) for field in fields(Attribution)]


def attributions(store: Store, run_ids: Iterable[int]) -> list[Attribution]:
    """What there is on these runs, oldest first; what somebody removed the file of is no longer there."""
    statement = select(*_COLUMNS).where(AttributionRow.run_id.in_(list(run_ids))).order_by(AttributionRow.id)
    with store.reader.connect() as connection:
        rows = connection.execute(statement).mappings()
        every = [Attribution(**{**row, "part": Part(row["part"]), "places": tuple(row["places"])}) for row in rows]
    return [one for one in every if one.file is None or store.paths(one.run_id).attributions(one.file).exists()]


def latest(known: Sequence[Attribution]) -> list[Attribution]:
    """Those of each run's newest checkpoint among them."""
    newest: dict[int, tuple[int, str]] = {}
    for one in known:
        newest[one.run_id] = max(newest.get(one.run_id, (-1, "")), (one.step, one.fingerprint))
    return [one for one in known if newest[one.run_id] == (one.step, one.fingerprint)]


def of(known: Iterable[Attribution], run_id: int, method: str, target: str, part: Part) -> list[Attribution]:
    """Those of one run, method, target and part."""
    wanted = (run_id, method, target, part)
    return [one for one in known if (one.run_id, one.method, one.target, one.part) == wanted]


def missing(known: Iterable[Attribution], places: Iterable[int]) -> list[int]:
    """The places that none of these has, in their order."""
    there = {place for one in known for place in one.places}
    return [place for place in places if place not in there]


def refusal(known: Iterable[Attribution], run_id: int, method: str) -> str | None:
    """Why the method cannot explain the run's network; None where it can, or nobody tried."""
    found = (one.refusal for one in known if (one.run_id, one.method, one.part) == (run_id, method, Part.REFUSAL))
    return next(found, None)


def maps(store: Store, known: Sequence[Attribution], places: Sequence[int] | None = None) -> Attributions | None:
    """The maps of these files at these places (all by default), in the order of the places; None where there are none.

    Args:
        store: where the files are.
        known: of one run, method, target and part; see `of`.
        places: in the test split; those that no file has are left out.

    Raises:
        StoreDamaged: a file is torn.
    """
    parts = [Attributions.load(path) for path in _files(store, known, places)]
    if not parts:
        return None
    whole = joined(parts)
    return whole.take(_rows(whole.places, places))


def cells(
    store: Store, run_ids: Iterable[int], methods: Sequence[str], target: str, places: Sequence[int] | None = None
) -> dict[tuple[int, str], Attributions]:
    """The maps of the newest checkpoint of each run by each method (JSON of its settings), where there are any."""
    known = latest(attributions(store, run_ids))
    found = {
        (run_id, method): maps(store, of(known, run_id, method, target, Part.MAPS), places)
        for run_id in run_ids
        for method in methods
    }
    return {cell: there for cell, there in found.items() if there is not None and len(there)}


def checks(store: Store, known: Sequence[Attribution], places: Sequence[int] | None = None) -> Checks | None:
    """The same of the checks; `known` are of the part `checks`."""
    parts = [Checks.load(path) for path in _files(store, known, places)]
    if not parts:
        return None
    arrays = {f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Checks)}
    rows = _rows(arrays["places"], places)
    return Checks(**{name: array[rows] for name, array in arrays.items()})


def predictions(store: Store, run_id: int, fingerprint: str) -> Predictions | None:
    """What the run's network of that fingerprint answers to every test picture; None where nobody asked it yet."""
    path = store.paths(run_id).predictions(fingerprint)
    return Predictions.load(path) if path.exists() else None


def _files(store: Store, known: Iterable[Attribution], places: Collection[int] | None) -> list[Path]:
    wanted = None if places is None else set(places)
    hit = [one for one in known if one.file and (wanted is None or not wanted.isdisjoint(one.places))]
    return [store.paths(one.run_id).attributions(str(one.file)) for one in hit]


def _rows(there: Ints, places: Sequence[int] | None) -> Ints:
    """Row of each place that is there, each once; those of the place's first file."""
    first = {int(place): row for row, place in reversed(list(enumerate(there)))}
    order = sorted(first) if places is None else [place for place in places if place in first]
    return np.array([first[place] for place in order], dtype=np.int64)
