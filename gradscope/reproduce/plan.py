"""What is still to be trained of a reproduction, and how long that takes on this machine."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from gradscope.analysis.wording import duration
from gradscope.jobs.slots import find_slots
from gradscope.records import Run
from gradscope.reproduce.cost import cost
from gradscope.reproduce.group import Group, Item


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The items of a group, each with the time it still takes."""

    items: tuple[tuple[Item, float | None], ...]
    """None: nothing to do, or its data cannot be looked at."""
    at_once: int
    """Items that are worked on at the same time."""

    @property
    def seconds(self) -> float | None:
        """Of everything that is still to do; None where one of them cannot be told."""
        left = [time for item, time in self.items if _is_to_do(item)]
        return sum(t for t in left if t is not None) / self.at_once if None not in left else None

    @property
    def sentence(self) -> str:
        """Such as `15 runs: 3 done, 1 under way, 11 to train, about 48 min 0 s`."""
        done = sum(item.is_done for item, _ in self.items)
        going = sum(item.is_going for item, _ in self.items)
        missing = sum(_is_to_do(item) for item, _ in self.items)
        noise = sum(item.lacks_noise for item, _ in self.items if _is_to_do(item))
        test = f", {noise} to test under noise" if noise else ""
        time = f", about {duration(self.seconds)}" if missing else ""
        sentence = f"{len(self.items)} runs: {done} done, {going} under way, {missing - noise} to train{test}{time}"
        lacking = [item.lacks for item, _ in self.items if item.lacks and not (item.is_done or item.is_going)]
        sets = " and ".join(dict.fromkeys(lacking))
        return f"{sentence}; {len(lacking)} need a data folder with {sets}" if lacking else sentence


def _is_to_do(item: Item) -> bool:
    return not (item.is_done or item.is_going or item.lacks)


def plan(group: Group, earlier: Sequence[Run], *, in_background: bool) -> Plan:
    """The plan of a group.

    Args:
        group: what there is.
        earlier: runs of this machine, newest first, for their speed.
        in_background: whether the queue trains them, as many at once as there are slots, or this process one by one.
    """
    slots = find_slots()
    threads = slots[0].threads if in_background else psutil.cpu_count() or 1
    cores = int(os.environ.get("OMP_NUM_THREADS") or threads)
    gpu = slots[0].gpu is not None
    one_of_each = {_kind(item): item for item in group.to_do}  # seeds do not differ in time
    times = {kind: cost(item, earlier, cores=cores, gpu=gpu) for kind, item in one_of_each.items()}
    return Plan(
        items=tuple((item, times.get(_kind(item)) if _is_to_do(item) else None) for item in group.items),
        at_once=len(slots) if in_background else 1,
    )


def _kind(item: Item) -> tuple[str, bool]:
    return item.experiment.name, item.is_trained
