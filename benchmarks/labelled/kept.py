"""Trained cases, kept in a folder if one is given, so that rules are judged anew without training again."""

import hashlib
import os
import pickle
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from benchmarks.labelled.cases import Case, Plant
from benchmarks.labelled.measure import Outcome
from benchmarks.labelled.training import train
from gradscope.diagnosis import tables_of
from gradscope.store import Store, open_store, read

ALL_STEPS = 10_000


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Trains cases."""

    store: Store
    """Of the trainings; nobody looks into it afterwards."""
    kept: Path | None

    def outcome(self, case: Case) -> Outcome:
        """What came of a case: from the folder, if it was trained before.

        Raises:
            ConfigError: the case has a method that its network cannot take.
        """
        path = self.kept / f"{_key(case)}.pickle" if self.kept else None
        if path is not None and path.exists():
            return replace(pickle.loads(path.read_bytes()), case=case)
        began = time.process_time()
        trained = train(case, self.store)
        seconds = time.process_time() - began
        tables = tables_of(self.store, read.run(self.store, trained.run_id), max_steps=ALL_STEPS)
        outcome = Outcome(case=case, tables=tables, seconds=seconds, true=trained.true)
        if path is not None:
            _write(path, outcome)
        return outcome


@contextmanager
def bench(kept: Path | None) -> Iterator[Bench]:
    """With a store that is gone afterwards."""
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder) / "runs.db", create=True)
        yield Bench(store=store, kept=kept)
        store.close()


def _key(case: Case) -> str:
    """By what differs from the defaults alone, so that a setting that is new does not spoil what is kept."""
    plant, plain = asdict(case.plant), asdict(Plant())
    changed = {name: value for name, value in plant.items() if value != plain[name]}
    whole = (case.network, case.data, case.config.model_dump_json(exclude_defaults=True), sorted(changed.items()))
    return f"{case.number:04d}-{hashlib.sha256(repr(whole).encode()).hexdigest()[:16]}"


def _write(path: Path, outcome: Outcome) -> None:
    """Beside its place, then there at once, so that nobody reads half of it."""
    beside = path.with_suffix(f".{os.getpid()}")
    beside.write_bytes(pickle.dumps(outcome))
    beside.replace(path)
