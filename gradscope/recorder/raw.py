"""The gradient as the backward pass left it, before clipping, methods or anything else treats it.

PyTorch tells when a gradient is there, and not when it is changed. So at the end of each backward pass of a recorded
step the gradients' version counters are noted (every operation in place raises them), and, on some steps, the gradients
measured. When the optimiser steps, a gradient of another version, or another tensor, has been touched.

To measure twice what nobody touches would double the cost. So it is done on each recorded step that follows one on
which a gradient was touched, and, to be sure, on the 1st, 2nd, 3rd, 5th, 9th, 17th, ...
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.autograd import Variable

from gradscope.recorder.groups import Group, groups_of
from gradscope.recorder.hooks import Hook, Hooks
from gradscope.recorder.measure import Transfer
from gradscope.recorder.statistics import MAX_ABS, NAN, NEG_INF, POS_INF, SUM_ABS, SUM_SQUARES, N, Rows
from gradscope.recorder.timer import Timer
from gradscope.recorder.weights import Weights
from gradscope.records import Kind

_COMPARED = [N, SUM_SQUARES, SUM_ABS, MAX_ABS, NAN, POS_INF, NEG_INF]
_SAME = 1e-6
"""Relative difference below which two gradients are one: unscaling rounds the smallest numbers."""


@dataclass(eq=False, kw_only=True)
class Raw:
    """The raw gradients of a recorded step."""

    groups: Sequence[Group] = ()
    """Measured at the end of the backward pass; empty if they were not."""
    touched: frozenset[int] = frozenset()
    """Layers whose gradient was replaced, or changed in place, if only to the same values."""
    treated: bool = field(default=False, init=False)
    """Whether `differing` found any; set by the writer's thread, and read by the one that trains."""

    def differing(self, raw: Rows, treated: Rows) -> list[int]:
        """The layers whose raw gradient is not the treated one, or may not be because nobody has measured it.

        Args:
            raw: shape (L, WIDTH).
            treated: shape (L, WIDTH).
        """
        if not self.groups:
            return sorted(self.touched)
        same = np.isclose(raw[:, _COMPARED], treated[:, _COMPARED], rtol=_SAME, atol=0.0).all(axis=1)
        self.treated = not same.all()
        return [int(layer) for layer in np.flatnonzero(~same)]


class RawGradients:
    """Looks at the gradients at the end of each backward pass while armed, and costs nothing while not."""

    def __init__(self, weights: Weights, timer: Timer, *, alone: bool = True) -> None:
        self._weights, self._timer = weights, timer
        self._alone = alone
        """Whether this process may measure when it likes, or has to when the others do."""
        self._hooks = Hooks()
        self._pass = -1
        """Number of the backward pass under way, as autograd counts."""
        self._passes = 0
        """Backward passes since it was armed."""
        self._expected = 1
        """Backward passes of a step, as far as known; before the last one there is no need to measure."""
        self._marks: dict[nn.Parameter, tuple[int, int]] = {}
        """Identity and version of each gradient at the end of the last backward pass."""
        self._groups: list[Group] = []
        self._taken = 0
        self._last = Raw()

    def arm(self) -> None:
        """Look from now on; an armed one stays as it is."""
        if self._hooks:
            return
        for weight in {w for _, w in self._weights.now if w.requires_grad and w.is_leaf}:
            hook = Hook(self, RawGradients._on_gradient)
            self._hooks.add(weight.register_post_accumulate_grad_hook(hook))  # type: ignore[no-untyped-call]

    def disarm(self) -> None:
        """Look no more, and forget what was seen."""
        self._hooks.remove()
        self.forget()

    def forget(self) -> None:
        """Forget what was seen, and go on looking: to take the hooks away and set them again costs more than a look."""
        self._passes, self._marks, self._groups = 0, {}, []

    def take(self, scale: Transfer | None) -> Raw:
        """What there is to say now that everything that treats gradients has done so.

        Args:
            scale: what the loss was multiplied by.
        """
        now = self._weights.now
        touched = frozenset(layer for layer, w in now if w in self._marks and self._marks[w] != _mark(w))
        for group in self._groups:
            group.scale = scale
        if self._passes:
            self._expected = self._passes
        self._taken += 1
        self._last = Raw(groups=self._groups, touched=touched)
        return self._last

    @property
    def groups(self) -> Sequence[Group]:
        """Measured since it was armed."""
        return self._groups

    def _on_gradient(self, weight: nn.Parameter) -> None:
        task = torch._C._current_graph_task_id()
        if task not in (self._pass, -1):
            self._pass = task
            _at_end_of_pass(Hook(self, RawGradients._before_others))

    def _before_others(self) -> None:
        # behind those that were asked for during the pass, such as DistributedDataParallel's, which averages gradients
        _at_end_of_pass(Hook(self, RawGradients._at_end))

    def _at_end(self) -> None:
        if not self._hooks or _is_being_captured():
            return
        with self._timer:
            self._passes += 1
            self._marks = {w: _mark(w) for _, w in self._weights.now if w.grad is not None}
            if self._must_measure():
                self._groups = groups_of(Kind.RAW_GRADIENT, self._weights.gradients())

    def _must_measure(self) -> bool:
        is_last = self._passes >= self._expected
        last = self._last
        was_treated = bool(last.touched) or (self._alone and last.treated)
        return is_last and (was_treated or self._taken & (self._taken - 1) == 0)


def _mark(weight: nn.Parameter) -> tuple[int, int]:
    return (id(weight.grad), weight.grad._version) if weight.grad is not None else (0, 0)


def _at_end_of_pass(call: Hook) -> None:
    Variable._execution_engine.queue_callback(call)


def _is_being_captured() -> bool:
    return torch.cuda.is_available() and torch.cuda.is_current_stream_capturing()
