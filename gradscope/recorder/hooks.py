"""Hooks that leave no trace: they keep nothing alive, and a copy or a pickle of the module carries none of them."""

import contextlib
import weakref
from collections.abc import Callable
from typing import Any, Protocol


class Handle(Protocol):
    """What registering a hook returns."""

    def remove(self) -> None:
        """Take the hook away."""


class Hooks:
    """Handles of hooks that are taken away together."""

    def __init__(self) -> None:
        self._handles: list[Handle] = []

    def __len__(self) -> int:
        return len(self._handles)

    def add(self, handle: Handle) -> None:
        """Remember one."""
        self._handles.append(handle)

    def remove(self) -> None:
        """Take all away; a second time does nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


class Hook:
    """Calls a method of an object as long as that object lives, and returns None: a forward hook that returned
    anything else would replace the module's output.

    The object is held by a weak reference, so a module does not keep the recorder alive. Copied or pickled, a hook
    becomes a call that takes anything and does nothing, made of the standard library alone: the copy of a watched
    module is not watched, and its pickle loads where GradScope is not installed.
    """

    # Any: PyTorch calls hooks of different kinds with different arguments
    def __init__(self, owner: object, method: Callable[..., None], *first: Any) -> None:
        self._owner = weakref.ref(owner)
        self._method = method
        self._first = first

    def __call__(self, *arguments: Any) -> None:
        """Hand the hook's arguments on."""
        owner = self._owner()
        if owner is not None:
            self._method(owner, *self._first, *arguments)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (contextlib.nullcontext(), "__exit__")
