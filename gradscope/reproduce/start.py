"""Starting what is missing of a reproduction, and going on with what broke off, in the queue."""

from collections.abc import Sequence

from gradscope import jobs
from gradscope.jobs.teaching import taught_by
from gradscope.reproduce.group import Item
from gradscope.store import Store


def queue(store: Store, items: Sequence[Item]) -> list[int]:
    """Queue what each item lacks: its run, the rest of it from its checkpoint, or its test on noisy pictures.

    Returns:
        The runs' ids.

    Raises:
        StoreError, JobError: as `gradscope.jobs.submit` and `gradscope.jobs.resume`.
    """
    made: dict[tuple[str, int], int] = {}
    for item in items:
        teacher = made.get((item.experiment.teacher, item.seed))
        made[item.experiment.name, item.seed] = _queue(store, item, teacher)
    return list(made.values())


def _queue(store: Store, item: Item, teacher: int | None) -> int:
    """The teacher: one that was queued just now, which the item does not know yet."""
    if item.run is None:
        config = item.config if teacher is None else taught_by(item.config, teacher)
        return jobs.submit(store, config, item.name, item.tags)
    if item.lacks_noise and item.noise:
        jobs.submit_task(store, item.run.id, item.noise)
    else:
        jobs.resume(store, item.run.id)
    return item.run.id
