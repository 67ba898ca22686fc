"""A store with a reproduction half done, written without training."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from reproductions import PN, Ended, Found

from gradscope.records import Provenance, Results, Status
from gradscope.reproduce.group import Group, find_group
from gradscope.reproduce.papers import chosen
from gradscope.reproduce.scales import scale_of
from gradscope.store import Store, open_store, write


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store(tmp_path / "runs.db", create=True)
    yield made
    made.close()


@pytest.fixture
def found(store: Store) -> Found:
    """The group of some experiments at the tiny scale."""

    def find(*only: str, seeds: int = 2, scale: str = "tiny", data_folder: str | None = None) -> Group:
        return find_group(store, PN, scale_of(scale), chosen(PN, only), range(seeds), data_folder)

    return find


@pytest.fixture
def ended(store: Store, found: Found) -> Ended:
    """Adds a run of an experiment that ended so."""

    def add(name: str, seed: int = 0, accuracy: float | None = 0.5, status: Status = Status.COMPLETED) -> int:
        item = next(i for i in found(name, seeds=seed + 1).items if i.seed == seed)
        values = item.config.model_dump(mode="json")
        run = write.create_run(
            store, name=item.name, source="train", config=values, status=Status.RUNNING, tags=item.tags
        )
        versions = {"torch": "2.15.0"}
        write.start(store, run, provenance=Provenance(seed=seed, device="cpu", versions=versions), total_steps=4)
        if accuracy is not None:
            write.results(store, run, Results(test_accuracy=accuracy))
        if status.is_final:
            write.finish(store, run, status)
        return run

    return add
