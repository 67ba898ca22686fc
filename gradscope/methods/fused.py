"""Several operations on the elements of a tensor as one kernel, where that pays: on CUDA.

There each operation is a launch that costs as much as the arithmetic of a small batch. A CPU is better off with few
operations in place: compiling them takes seconds and a C++ compiler, and saves a tenth of a millisecond.
"""

import functools
import logging
from collections.abc import Callable
from importlib.util import find_spec
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("gradscope")


def fused(function: Callable[P, R], device: str) -> Callable[P, R]:
    """The function, compiled if it is to work on that type of device and compiling is possible there.

    Args:
        function: of tensors; pure but for changing what it made itself.
        device: cuda, cpu, mps, ...
    """
    if device != "cuda" or torch.compiler.is_compiling():
        return function
    return _compiled(function)


@functools.cache
def _compiled(function: Callable[P, R]) -> Callable[P, R]:
    if find_spec("triton") is None:
        return function
    # sizes may vary: the last batch of an epoch is smaller, and every layer has its own
    compiled: Callable[P, R] = torch.compile(function, dynamic=True)
    broken = False

    @functools.wraps(function)
    def call(*arguments: P.args, **options: P.kwargs) -> R:
        nonlocal broken
        if broken:
            return function(*arguments, **options)
        try:
            return compiled(*arguments, **options)
        except torch._dynamo.exc.TorchDynamoException as error:
            broken = True
            _log.warning("%s runs unfused here, somewhat slower: %s", function.__name__, str(error).partition("\n")[0])
            return function(*arguments, **options)

    return call
