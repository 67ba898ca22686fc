"""Starting what is missing of a reproduction, and going on with what broke off, in the queue."""

from collections.abc import Sequence

from gradscope import jobs
from gradscope.reproduce.group import Item
from gradscope.store import Store


def queue(store: Store, items: Sequence[Item]) -> list[int]:
    """Queue each item: resumed from its checkpoint where it has a run, else a new one. Returns the runs' ids.

    Raises:
        StoreError, JobError: as `gradscope.jobs.submit` and `gradscope.jobs.resume`.
    """
    return [_queue(store, item) for item in items]


def _queue(store: Store, item: Item) -> int:
    if item.run is None:
        return jobs.submit(store, item.config, item.name, item.tags)
    jobs.resume(store, item.run.id)
    return item.run.id
