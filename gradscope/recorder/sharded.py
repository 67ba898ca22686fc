"""Tensors of which each process holds a part (FSDP2, tensor parallelism): the statistics are those of the whole.

Rows of statistics add up. So each process measures its own part, and the rows are summed over the processes that share
the tensor. All of them have to take part, or the others would wait for ever. Whether they do is agreed when the watch
begins, through the store by which the processes found each other, where a missing answer is noticed.
"""

import itertools
import logging
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from torch import Tensor, nn

from gradscope.errors import RecorderError
from gradscope.recorder.statistics import MAX_ABS
from gradscope.records import Pace

if TYPE_CHECKING:
    from torch._C._distributed_c10d import ProcessGroup, Store

Sharing = tuple["ProcessGroup", ...]
"""The groups of processes that hold the parts of a tensor; none for an ordinary one."""

PATIENCE = timedelta(seconds=30)
"""How long the processes wait for each other when a watch begins."""

_log = logging.getLogger("gradscope")
_numbers = itertools.count()


class _Agreed:
    together = False
    """Whether every process measures its part, so that they can be added up."""


def is_sharded(model: nn.Module) -> bool:
    """Whether any weight of the model is shared among processes."""
    return any(map(_is_distributed, model.parameters()))


def part(tensor: Tensor) -> tuple[Tensor, Sharing]:
    """What this process holds of a tensor, and with whom it is shared."""
    if not _is_distributed(tensor):
        return tensor, ()
    from torch.distributed.tensor import DTensor

    assert isinstance(tensor, DTensor)
    if any(p.is_partial() for p in tensor.placements):
        return tensor.full_tensor(), ()
    split = [dim for dim, placement in enumerate(tensor.placements) if not placement.is_replicate()]
    groups = tuple(tensor.device_mesh.get_group(dim) for dim in split)
    return tensor.to_local().detach(), groups if _Agreed.together else ()


def add_up(rows: Tensor, sharing: Sequence["ProcessGroup"]) -> None:
    """Make rows of this process's parts those of the whole, in place; every process of the groups has to call.

    Args:
        rows: shape (T, WIDTH), on the tensors' device; a GPU is not waited for.
        sharing: as of `part`.
    """
    from torch import distributed

    for group in sharing:
        largest = rows[:, MAX_ABS].clone()
        distributed.all_reduce(largest, distributed.ReduceOp.MAX, group)
        distributed.all_reduce(rows, distributed.ReduceOp.SUM, group)
        rows[:, MAX_ABS] = largest


def join(model: nn.Module, pace: Pace) -> bool:
    """Settle with the other processes whether all of them watch; late ones are not waited for. Call it once a watch.

    Returns:
        Whether the model's weights are shared; if not, nothing happens.

    Raises:
        RecorderError: the schedule goes by the clock, which differs from process to process.
    """
    if not is_sharded(model):
        return False
    if pace.record_budget is not None:
        raise RecorderError(
            'every="auto" goes by the time that each process takes, and here all must record the same steps; '
            "give a number of steps, such as every=10"
        )
    from torch import distributed

    n, store, name = distributed.get_world_size(), _store(), f"gradscope/{next(_numbers)}"
    answer = "all" if store.add(name, 1) == n else _answer_of_the_last(store, name)
    # whoever answers first answers for everybody
    _Agreed.together = store.compare_set(f"{name}/answer", "", answer) == b"all"
    if not _Agreed.together and distributed.get_rank() == 0:
        _log.warning(
            "%d processes share the weights and not all of them watch: what is recorded is of the first one's part; "
            "call gradscope.init() and watch() in every process",
            n,
        )
    return True


def _store() -> "Store":
    from torch.distributed.distributed_c10d import _get_default_store

    return _get_default_store()


def _answer_of_the_last(store: "Store", name: str) -> str:
    try:
        store.wait([f"{name}/answer"], PATIENCE)
    except RuntimeError:  # nothing but a time-out, whichever store it is
        return "some"
    return "all"


def _is_distributed(tensor: Tensor) -> bool:
    # nobody has such a tensor who has not loaded the module, which takes a while
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
