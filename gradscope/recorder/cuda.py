"""Statistics of tensors in the memory of a GPU, by one launch for all of them, or one for each type of element.

Nothing here waits for the device: the table of addresses goes up from pinned memory, the rows come down the same way.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
import torch
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from gradscope.errors import RecorderError
from gradscope.recorder import triton_kernel
from gradscope.recorder.statistics import WIDTH

TYPES = {torch.float32: tl.float32, torch.bfloat16: tl.bfloat16, torch.float16: tl.float16, torch.float64: tl.float64}
"""Of the elements that are read as they are."""

_BLOCK, _SPAN = 2048, 64
_OPTIONS = {"num_warps": 8, "enable_fp_fusion": True}
_PROGRAMS = 4096
"""About so many chunks are cut, however many elements there are: enough for the largest GPU, and a short table."""

_RESERVED = 1 << 20
"""Numbers that the tables of one captured step may take: enough for some 200 layers with all that can be recorded."""


def measure(tensors: Sequence[Tensor]) -> Tensor:
    """The rows that `statistics.reference` gives, up to the order of its sums: shape (T, WIDTH), on the device.

    While a CUDA graph is captured, the rows are those of its latest replay; `reserve` comes first.

    Args:
        tensors: T contiguous tensors of any shape, in the memory of one device, of the types above.
    """
    rows = torch.zeros((len(tensors), WIDTH), dtype=torch.float64, device=tensors[0].device)
    with torch.cuda.device(rows.get_device()):
        for dtype in {t.dtype for t in tensors}:
            chunks = _upload(_table(tensors, dtype), rows.device)
            if len(chunks):
                triton_kernel.count[(len(chunks),)](chunks, rows, TYPES[dtype], _BLOCK, _SPAN, **_OPTIONS)
    return rows


def _table(tensors: Sequence[Tensor], dtype: torch.dtype) -> NDArray[np.int64]:
    """Shape (C, 3): address, number of elements and row of each chunk of the tensors of that type."""
    chunks, offsets = _plan(tuple(t.numel() if t.dtype == dtype else 0 for t in tensors))
    table = chunks.copy()
    addresses = np.array([t.data_ptr() for t in tensors], np.int64)
    table[:, 0] = addresses[chunks[:, 2]] + offsets * dtype.itemsize
    return table


@lru_cache(maxsize=256)
def _plan(sizes: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Chunks of tensors of those sizes, still without addresses, and where in its tensor each begins, in elements."""
    chunk = _BLOCK
    while chunk * _PROGRAMS < sum(sizes):
        chunk *= 2
    parts = [(start, min(chunk, n - start), row) for row, n in enumerate(sizes) for start in range(0, n, chunk)]
    chunks = np.array(parts, np.int64).reshape(-1, 3)
    offsets = chunks[:, 0].copy()
    return chunks, offsets


def _upload(table: NDArray[np.int64], device: torch.device) -> Tensor:
    host = torch.from_numpy(table)
    if device.type != "cuda":  # as in the tests, where the kernel is interpreted
        return host
    pinned = _Reserved.take(host) if torch.cuda.is_current_stream_capturing() else host.pin_memory()
    return pinned.to(device, non_blocking=True)


class _Reserved:
    """Pinned memory for the tables of captured graphs.

    A graph reads its tables anew whenever it is replayed, which may be as long as the process lives: what was taken is
    never given back. Pinned memory cannot be had during a capture, so it is set aside before.
    """

    blocks: ClassVar[list[Tensor]] = [torch.empty(0, dtype=torch.int64)]
    used: ClassVar[int] = 0
    """Of the last block."""

    @classmethod
    def take(cls, table: Tensor) -> Tensor:
        n = table.numel()
        mine = cls.blocks[-1][cls.used : cls.used + n]
        if mine.numel() < n:
            raise RecorderError("a CUDA graph is being captured and reserve() was not called before")
        cls.used += n
        return mine.view(table.shape).copy_(table)


def reserve() -> None:
    """Make ready for the capture of a step by a CUDA graph: `measure` may be called in it."""
    for dtype in TYPES:
        measure([torch.zeros(1, dtype=dtype, device="cuda")])
    if len(_Reserved.blocks[-1]) - _Reserved.used < _RESERVED:
        _Reserved.blocks.append(torch.empty(2 * _RESERVED, dtype=torch.int64, pin_memory=True))
        _Reserved.used = 0
