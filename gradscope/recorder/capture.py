"""Whether a CUDA graph is being captured: what is measured then has no values yet, and gets new ones by each replay."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

_log = logging.getLogger("gradscope")


class _State:
    announced = warned = False


def is_captured(tensor: Tensor) -> bool:
    """Whether a tensor's values are going to be computed by the graph that is being captured."""
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


def is_unannounced(tensor: Tensor) -> bool:
    """The same, of a graph that the recorder was not told of; the first time, a warning says how to tell it."""
    if _State.announced or not is_captured(tensor):
        return False
    if not _State.warned:
        _State.warned = True
        _log.warning(
            "a training step is being captured in a CUDA graph, and its replays are not recorded: capture it inside "
            "`with run.capturing():` and call run.record_step() after each replay"
        )
    return True


@contextmanager
def announced() -> Iterator[None]:
    """Inside, graphs may be captured with what measures a step in them."""
    _State.announced = True
    try:
        yield
    finally:
        _State.announced = False
