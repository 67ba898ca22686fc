"""Compiled loops over tensors in CPU memory, run by all of PyTorch's threads.

The threads are those of PyTorch's own OpenMP pool: they are awake after a pass through a network, and a second pool
beside the first would fight it for the cores. Where that pool cannot be reached, the calling thread works alone.
"""

import ctypes
from array import array
from collections.abc import Callable, Sequence
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from llvmlite import ir  # type: ignore[import-untyped]
from numba import cfunc, njit, types
from numba.extending import intrinsic

ALONE = 1 << 16
"""Up to so many elements, calling the other threads costs more than it saves."""

TOLD = 64
"""Bytes: a cache line, so that what is read by all threads does not lie in one that they all write to."""
_COUNTER = (0,) * (TOLD // 8)

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compiled on its first call, with IEEE's rules for division by zero."""
    return cast(F, njit(nogil=True, cache=True, error_model="numpy")(function))


def summing(function: F) -> F:
    """Compiled; sums may be taken in any order, and so vectorised; NaN and infinities keep their meaning."""
    return cast(F, njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc", "contract"})(function))


# Any: numba's own objects have no public types, and what is compiled has its types inferred.
def intrinsic_of(function: Callable[..., Any]) -> Any:
    """A function that writes its own machine code."""
    return intrinsic(function)


class callback:  # in lower case, as it is a decorator
    """A C function `void f(int64_t)` that any thread may call, Python's or not; compiled when it is first asked for.

    Not before, as that takes a moment even where it is read from numba's cache, and most programs never call it.
    """

    def __init__(self, function: Callable[..., None]) -> None:
        self._function = function

    @cached_property
    def _compiled(self) -> Any:
        """As numba has it, which frees the machine code with this."""
        return cfunc(types.void(types.int64), cache=True, error_model="numpy")(self._function)

    @cached_property
    def address(self) -> int:
        """Of its machine code."""
        return cast(int, self._compiled.address)

    @cached_property
    def alone(self) -> Callable[[int], None]:
        """To be called from Python."""
        return ctypes.CFUNCTYPE(None, ctypes.c_int64)(self.address)


@intrinsic_of
def at(typing: Any, address: Any, element: Any) -> Any:
    """The pointer to elements of that type at an address."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return cast(Any, types.CPointer)(element.instance_type)(types.int64, element), generate


@intrinsic_of
def add(typing: Any, address: Any, amount: Any) -> Any:
    """Add to the int64 at an address and return what was there, as one act that no other thread can split."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
        return builder.atomic_rmw("add", pointer, arguments[1], "monotonic")

    return types.int64(types.int64, types.int64), generate


def run(work: callback, told: Sequence[int], elements: int) -> None:
    """Let every thread call `work` with the address of a counter; `TOLD` bytes behind it begins what they are told.

    Args:
        work: what each thread does; returns when there is nothing left to do.
        told: int64 numbers and addresses; the workers share what is to be done by the counter, which they `add` to.
        elements: the size of it all; a small job is not worth waking anybody for.
    """
    job = array("q", (*_COUNTER, *told))
    pool, threads = _torch_pool(), torch.get_num_threads()
    if pool is None or threads == 1 or elements <= ALONE:
        work.alone(job.buffer_info()[0])
    else:
        pool(work.address, job.buffer_info()[0], threads, 0)


@cache
def _torch_pool() -> Callable[[int, int, int, int], None] | None:
    """`GOMP_parallel(function, data, threads, flags)` of the OpenMP library PyTorch itself runs on; None without."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("lib*omp*.so*")):
        parallel = getattr(ctypes.CDLL(str(path)), "GOMP_parallel", None)
        if parallel is not None:
            parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            parallel.restype = None
            return parallel  # type: ignore[no-any-return]
    return None
