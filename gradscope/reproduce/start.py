"""Starting what is missing of a reproduction, and going on with what broke off, in the queue."""

from collections.abc import Sequence

from gradscope import jobs
from gradscope.reproduce.group import Item
from gradscope.store import Store


def queue(store: Store, items: Sequence[Item]) -> list[int]:
    """Queue what each item lacks: its run, the rest of it from its checkpoint, or its test on noisy pictures.

    Returns:
        The runs' ids.

    Raises:
        StoreError, JobError: as `gradscope.jobs.submit` and `gradscope.jobs.resume`.
    """
    return [_queue(store, item) for item in items]


def _queue(store: Store, item: Item) -> int:
    if item.run is None:
        return jobs.submit(store, item.config, item.name, item.tags)
    if item.lacks_noise and item.noise:
        jobs.submit_task(store, item.run.id, item.noise)
    else:
        jobs.resume(store, item.run.id)
    return item.run.id
