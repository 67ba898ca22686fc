"""Tensors in, rows of statistics out, each measured where it lies and fetched without making the device wait."""

import logging
import math
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor

from gradscope import histogram
from gradscope.recorder import statistics
from gradscope.recorder.capture import is_captured, is_unannounced
from gradscope.recorder.sharded import Sharing, add_up
from gradscope.recorder.statistics import COUNTS, WIDTH, ZEROS, N, Rows

if TYPE_CHECKING:
    from gradscope.recorder.cpu import Counted

LARGE: Final = 1 << 20
"""Activations and signals of more elements are sub-sampled to about so many."""

_log = logging.getLogger("gradscope")


class Transfer:
    """Numbers on their way to the host; from a CUDA device by an asynchronous copy into pinned memory.

    Of what a CUDA graph is only going to compute they are NaN.
    """

    def __init__(self, values: Tensor) -> None:
        self._event: torch.cuda.Event | None = None
        if is_captured(values):
            self._values = torch.full(values.shape, torch.nan, dtype=torch.float64)
        elif values.is_cuda:
            self._values = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            self._values.copy_(values, non_blocking=True)
            self._event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._event.record()
        else:
            self._values = values.detach().to("cpu", copy=True)

    def wait(self) -> Tensor:
        """The numbers, in CPU memory."""
        if self._event is not None:
            self._event.synchronize()
            self._event = None
        return self._values


class Measured:
    """The rows of some tensors, perhaps still on their way."""

    def __init__(self, source: "Counted | Tensor", implied_zeros: Sequence[int] | None = None) -> None:
        self._source: Counted | Transfer | Tensor = source
        if isinstance(source, Tensor) and not is_captured(source):
            self._source = Transfer(source)
        self._implied_zeros = implied_zeros
        self._rows: Rows | None = None

    def again(self) -> "Measured":
        """Measured while a CUDA graph was captured: what its latest replay found."""
        assert isinstance(self._source, Tensor)
        return Measured(self._source)

    def rows(self) -> Rows:
        """Shape (T, WIDTH); waits for the device if need be. Call it from the writer's thread."""
        if self._rows is None:
            source = self._source
            assert not isinstance(source, Tensor), "a graph's rows are fetched by again()"
            self._rows = source.wait().numpy() if isinstance(source, Transfer) else source.rows()
        if self._implied_zeros is not None:
            self._rows[:, [N, ZEROS]] += np.array(self._implied_zeros)[:, None]
            self._implied_zeros = None
        return self._rows


def measure(tensors: Sequence[Tensor], sharing: Sharing = ()) -> Measured:
    """Statistics of T tensors of one device, in one pass over each.

    Each device has its kernel; the plain reference serves where there is none, and while one is still being loaded.
    All count exactly the same. A device without float64 (MPS) has its tensors copied to the host.

    Args:
        tensors: of any layout and type.
        sharing: the processes that hold the other parts of these tensors, see `gradscope.recorder.sharded`.
    """
    if not tensors or is_unannounced(tensors[0]):
        return Measured(torch.zeros((len(tensors), WIDTH), dtype=torch.float64))
    device = tensors[0].device.type
    kernel = _KERNELS[device]() if device in _KERNELS else None
    types = kernel.TYPES if kernel else _REFERENCE_TYPES
    plain = tensors if all(_is_plain(t, types) for t in tensors) else [_plain(t, types) for t in tensors]
    implied = None
    if plain is not tensors and any(t.is_sparse for t in tensors):
        implied = [t.numel() - p.numel() for t, p in zip(tensors, plain, strict=True)]
    source = kernel.measure(plain) if kernel else statistics.reference(plain)
    if sharing:
        source = source if isinstance(source, Tensor) else torch.from_numpy(source.rows())
        add_up(source, sharing)
    return Measured(source, implied)


def share_beyond(tensor: Tensor, low: float, high: float) -> Tensor | float:
    """Share in 0..1 of the elements below `low` or above `high`, 0-dim where the device counts."""
    n = max(tensor.numel(), 1)
    kernel = compiled() if tensor.is_cpu else None
    if kernel is not None and _is_plain(tensor, kernel.TYPES):
        return float(kernel.beyond(tensor, low, high)) / n
    outside: Tensor = (tensor < low).logical_or_(tensor > high)
    return outside.count_nonzero().double() / n


def thinned(tensor: Tensor) -> Tensor:
    """Every k-th element of a large tensor as a flat one; a smaller tensor as it is.

    k is the smallest stride that leaves at most LARGE elements and has no factor in common with the number of
    elements, so that no channel or column is left out.
    """
    n = tensor.numel()
    if n <= LARGE:
        return tensor
    stride = -(-n // LARGE)
    while math.gcd(stride, n) > 1:
        stride += 1
    return _in_memory_order(tensor.detach()).flatten()[::stride]


_REFERENCE_TYPES = frozenset({torch.float32, torch.float64})


def _is_plain(tensor: Tensor, types: Collection[torch.dtype]) -> bool:
    return (
        tensor.dtype in types
        and tensor.layout is torch.strided
        and tensor.is_contiguous()
        and not tensor.is_neg()
        and not tensor.is_mps
    )


@torch.no_grad()
def _plain(tensor: Tensor, types: Collection[torch.dtype]) -> Tensor:
    """Contiguous, with the same values in a type the kernel reads (a sparse tensor's stored ones), in any order."""
    x = tensor.detach()
    if x.is_sparse:
        x = x.coalesce().values()
    if x.is_complex():
        x = torch.view_as_real(x.resolve_conj())
    if x.is_mps:
        x = x.cpu()
    if x.dtype not in types:
        x = x.float()
    return _in_memory_order(x.resolve_neg()).contiguous()


def _in_memory_order(tensor: Tensor) -> Tensor:
    """The elements as they lie in memory: a channels-last tensor needs no copy to be read through."""
    if tensor.dim() == 4 and not tensor.is_contiguous() and tensor.is_contiguous(memory_format=torch.channels_last):
        return tensor.permute(0, 2, 3, 1)
    return tensor


_kernel: ModuleType | None = None
_loading: threading.Thread | None = None
_lock = threading.Lock()


def compiled() -> ModuleType | None:
    """`gradscope.recorder.cpu` once it is ready; None before, and where numba does not work.

    Loading takes half a second, and some seconds the first time on a machine, so it happens beside the training.
    """
    global _loading
    if _kernel is None and _loading is None:
        with _lock:
            if _loading is None:
                _loading = threading.Thread(target=_load, name="gradscope-compile", daemon=True)
                _loading.start()
    return _kernel


def is_compiling() -> bool:
    """Whether the compiled kernel is still being loaded, and plain PyTorch counts in its place."""
    return _kernel is None and _loading is not None and _loading.is_alive()


def wait_until_compiled() -> bool:
    """Block until the compiled kernel is ready; False if this machine cannot have it."""
    compiled()
    if _loading is not None:
        _loading.join()
    return _kernel is not None


def _load() -> None:
    global _kernel
    try:
        from gradscope.recorder import cpu
    except (ImportError, OSError, RuntimeError) as error:
        _log.warning("recording is some 20 times slower here: the compiled kernel cannot be loaded (%s)", error)
    else:
        _kernel = cpu


@cache
def _triton() -> ModuleType | None:
    """`gradscope.recorder.cuda`; None where Triton is not installed (Windows)."""
    try:
        from gradscope.recorder import cuda
    except ImportError as error:
        _log.warning("recording on the GPU takes many small steps here: Triton cannot be loaded (%s)", error)
        return None
    return cuda


def make_ready_for_capture() -> None:
    """A CUDA graph is going to be captured in which `measure` is called: nothing may be compiled then, or set aside."""
    kernel = _triton() if torch.cuda.is_available() else None
    if kernel is not None:
        kernel.reserve()


_KERNELS: Mapping[str, Callable[[], ModuleType | None]] = {"cpu": compiled, "mps": compiled, "cuda": _triton}


def encoded(rows: Rows) -> list[bytes]:
    """The stored form of each row's histogram."""
    if _kernel is not None:
        blobs: list[bytes] = _kernel.encode(rows)
        return blobs
    return [histogram.encode(row[COUNTS:].astype(np.int64)) for row in rows]
