"""Steps under gradient scaling (AMP): of one that the scaler skips, the optimiser and its hooks never hear.

`torch.amp.GradScaler` has no hooks of its own. So while something listens, its `step` is wrapped, for all scalers at
once: nobody has to hand theirs over, and those that a trainer keeps to itself are heard too.
"""

import weakref
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import wraps
from typing import Any, Protocol

from torch import Tensor
from torch.amp import GradScaler
from torch.optim import Optimizer

Step = Callable[..., float | None]


class Listener(Protocol):
    """Who wants to be told."""

    def scaled_step(self, optimizer: Optimizer, scale: Tensor) -> AbstractContextManager[None]:
        """Entered before a scaler hands a step to the optimiser, or skips it; left afterwards."""


class _Wrapped:
    """The step that was found and the one in its place; None while nobody listens."""

    found: Step | None = None
    ours: Step | None = None


_listeners: weakref.WeakSet[Listener] = weakref.WeakSet()


def listen(listener: Listener) -> None:
    """Tell it of every step of every scaler from now on; it is not kept alive."""
    _listeners.add(listener)
    weakref.finalize(listener, _tidy_up).atexit = False
    if GradScaler.step is not _Wrapped.ours:
        _Wrapped.found, _Wrapped.ours = GradScaler.step, _telling(GradScaler.step)
        GradScaler.step = _Wrapped.ours  # type: ignore[method-assign]


def forget(listener: Listener) -> None:
    """Tell it no more. When nobody listens, GradScaler is as it was, unless somebody else has wrapped it since."""
    _listeners.discard(listener)
    _tidy_up()


def _tidy_up() -> None:
    alive = tuple(_listeners)  # the length would count one that is just dying
    if not alive and _Wrapped.found is not None and GradScaler.step is _Wrapped.ours:
        GradScaler.step = _Wrapped.found  # type: ignore[method-assign]
        _Wrapped.found = _Wrapped.ours = None


def _telling(step: Step) -> Step:
    @wraps(step)
    def telling(scaler: GradScaler, optimizer: Optimizer, *arguments: Any, **options: Any) -> float | None:
        # Any: whatever the optimiser's step takes
        with ExitStack() as told:
            if scaler.is_enabled() and scaler._scale is not None:
                for listener in tuple(_listeners):
                    told.enter_context(listener.scaled_step(optimizer, scaler._scale))
            return step(scaler, optimizer, *arguments, **options)

    return telling
