"""What every process that computes needs: a device, an orderly end, and the cause of a failure in a sentence."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

from gradscope.errors import ConfigError, GradScopeError


def pick_device(name: str) -> torch.device:
    """The device of that name; "auto" takes a GPU where there is one. ConfigError when it is not there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    kind, _, index = name.partition(":")
    if not there[kind] or (index and int(index) >= torch.cuda.device_count()):
        usable = ", ".join(d for d, usable in there.items() if usable)
        raise ConfigError(f"device {name!r} is not on this machine; use auto or one of {usable}")
    return torch.device(name)


def cause_of(error: BaseException) -> str:
    """One sentence for the runs table."""
    if isinstance(error, torch.OutOfMemoryError):
        return "the GPU's memory is full; choose a smaller batch_size, width or depth, or end other runs on this GPU"
    text = str(error).strip()
    return text if isinstance(error, GradScopeError) else f"{type(error).__name__}: {text}".rstrip(": ")


@contextmanager
def stopped_by_signals(request_stop: Callable[[], object]) -> Iterator[None]:
    """SIGTERM and SIGINT ask for an orderly end; a second one ends at once."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may take signals; others are stopped through the store
        return
    before = {sign: signal.getsignal(sign) for sign in (signal.SIGTERM, signal.SIGINT)}

    def stop(sign: int, _: object) -> None:
        request_stop()
        signal.signal(sign, before[signal.Signals(sign)])

    for sign in before:
        signal.signal(sign, stop)
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)
