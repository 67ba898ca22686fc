"""Watching a network train: measures its layers on the steps that are due, through the optimiser's own hooks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.errors import RecorderError
from gradscope.recorder import scaling, sharded
from gradscope.recorder.capture import announced
from gradscope.recorder.causes import Causes
from gradscope.recorder.gains import Gains
from gradscope.recorder.graphs import Captured
from gradscope.recorder.groups import Group, groups_of
from gradscope.recorder.hooks import Hook, Hooks
from gradscope.recorder.layers import Choice, Order, Watched, find_layers, unwrapped
from gradscope.recorder.measure import Transfer, compiled, is_compiling, make_ready_for_capture
from gradscope.recorder.passes import Passes, Seen, Shares, groups_of_passes
from gradscope.recorder.raw import Raw, RawGradients
from gradscope.recorder.record import Record
from gradscope.recorder.schedule import Timetable
from gradscope.recorder.skip import Skip
from gradscope.recorder.timer import Lap, Timer
from gradscope.recorder.uncompiled import Uncompiled
from gradscope.recorder.weights import Weights
from gradscope.records import Kind, Layer, Pace

_CERTAIN = Transfer(torch.ones(()))
"""Of a step that was skipped for sure."""

Log = Literal["gradients", "all"]
_KINDS: Mapping[Log, Sequence[Kind]] = {
    "gradients": (Kind.GRADIENT,),
    "all": (Kind.GRADIENT, Kind.WEIGHT, Kind.UPDATE, Kind.ACTIVATION, Kind.SIGNAL),
}


@dataclass(frozen=True, kw_only=True)
class Receiver:
    """Who is told what the watch sees."""

    layers: Callable[[Sequence[Layer]], None]
    """Once, in the order of the forward pass, before the first record."""
    record: Callable[[Record], None]
    skip: Callable[[Skip], None] = lambda skip: None


class Watch:
    """Hooks on one model and its optimiser.

    Per step: `before` (all gradients are there, nothing has moved) and `after` (the weights have moved). Whether a step
    is due is settled at the end of the one before it, so its passes can be looked at; on all other steps the recorder
    costs a few comparisons.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | None,
        *,
        schedule: Timetable,
        log: Log,
        choice: Choice,
        step: int,
        receiver: Receiver,
    ) -> None:
        self._kinds, self._everything = _kinds_of(log, optimizer), log == "all"
        self._optimizer, self._schedule, self._receiver = optimizer, schedule, receiver
        self._layers = find_layers(model, choice)
        is_sharded = sharded.join(model, schedule.pace)
        self.timer = Timer()
        self._order: Order | None = Order(model)
        self._weights = Weights(self._layers)
        self._passes = Passes(unwrapped(model), self._layers, self.timer)
        self._gains = Gains(unwrapped(model), self._layers, self.timer)
        self._causes, self._splits = Causes(), False
        """The second: whether the loss has several terms, as far as known."""
        self._can_split = not sharded.is_sharded(model)
        self._raw = RawGradients(self._weights, self.timer, alone=not is_sharded)
        self._uncompiled = Uncompiled(model)
        self._early: list[Group] = []
        """Measured before the optimiser moved the weights."""
        self._treated: Raw | None = None
        """The raw gradients beside those."""
        self._scaled_by: Tensor | None = None
        """What gradient scaling multiplied the loss by, while a scaled step is taken."""
        self._attempt = 0
        """Of the step in progress: how many were skipped before."""
        self._captured: Captured | None = None
        self._is_capturing = self._captures_step = False
        self.step = self._first_step = step
        """The optimiser step in progress."""
        self._hooks = self._hook(optimizer)
        compiled()
        self._due = schedule(step)
        self._prepare()

    def _hook(self, optimizer: Optimizer | None) -> Hooks:
        hooks = Hooks()
        if optimizer is not None:
            hooks.add(optimizer.register_step_pre_hook(Hook(self, Watch._on_step)))
            hooks.add(optimizer.register_step_post_hook(Hook(self, Watch._on_stepped)))
            scaling.listen(self)
        return hooks

    @property
    def steps_done(self) -> int:
        """Steps since the watch began."""
        return self.step - self._first_step

    @property
    def pace(self) -> Pace:
        """How often is recorded at present."""
        return self._schedule.pace

    @property
    def is_due(self) -> bool:
        """Whether the step in progress is recorded."""
        return self._due

    @property
    def was_skipped(self) -> bool:
        """Whether the last attempt at the step in progress was skipped by gradient scaling."""
        return self._attempt > 0

    def remove(self) -> None:
        """Take every hook away."""
        self._hooks.remove()
        scaling.forget(self)
        self._passes.disarm()
        self._gains.disarm()
        self._raw.disarm()
        self._uncompiled.off()
        self._weights.forget()
        if self._order is not None:
            self._order.forget()

    def record_step(self) -> None:
        """Count a step of a loop that has no optimiser to be hooked: call it when all gradients are there. Also after
        each replay of a CUDA graph that the optimiser's step was captured in.

        Raises:
            RecorderError: the optimiser that was given counts the steps already.
        """
        is_replayed = self._captured is not None and self._captured.has_step
        if self._optimizer is not None and not is_replayed:
            raise RecorderError(
                "record_step() is for loops without an optimiser; the one given to watch() counts the steps already"
            )
        if self._due:
            with self.timer:
                if self._captured is not None and is_replayed:
                    self._early = self._captured.groups_now()
                else:
                    self._look_before_step()
        self._end_step()

    @contextmanager
    def capturing(self) -> Iterator[None]:
        """Inside, a CUDA graph is captured; what it does of a step is measured by each replay, and no step is taken.

        Raises:
            RecorderError: no weight lies on a CUDA device.
        """
        if not any(weight.is_cuda for _, weight in self._weights.now):
            raise RecorderError("capturing() is for CUDA graphs, and no weight of this model is on a CUDA device")
        self._raw.disarm()
        self._gains.disarm()
        self._gains.arm()
        self._uncompiled.off()
        if self._everything:
            self._passes.arm()
        due, self._due, self._is_capturing, self._captures_step = self._due, True, True, False
        try:
            with announced():
                make_ready_for_capture()
                yield
        finally:
            groups, self._early, self._treated = self._early, [], None
            passes, told, has_step = self._passes.disarm(), self._gains.disarm(), self._captures_step
            self._captured = Captured(groups=groups, passes=passes, told=told, has_step=has_step)
            self._due, self._is_capturing = due, False
            self._prepare()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the passes made inside under the step in progress, whatever the schedule says, and take no step."""
        with self.timer:
            self._raw.arm()
            self._look_at_passes()
        yield
        with self.timer:
            self._look_before_step()
            self._hand_over(self._passes.disarm())
        self._prepare()

    def split_gradient(self, terms: Mapping[str, Tensor]) -> None:
        """See `Session.split_gradient`."""
        if not self._due or len(terms) < 2 or self._is_capturing or not self._can_split:
            return
        with self.timer:
            self._splits = True
            weights = [w for w in dict.fromkeys(w for _, w in self._weights.now) if w.requires_grad]
            self._passes.deaf = self._gains.deaf = True
            try:
                self._causes.add(terms, weights)
            finally:
                self._passes.deaf = self._gains.deaf = False

    # Any: an optimiser hands on whatever its step() was called with
    def _on_step(self, optimizer: Optimizer, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        if self._due:
            with self.timer:
                self._look_before_step(gradients=not _has_closure(arguments, options))

    def _on_stepped(self, optimizer: Optimizer, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        if self._due:
            with self.timer:
                self._look_after_step(gradients=_has_closure(arguments, options))
        if self._is_capturing:
            self._captures_step = True
        else:
            self._end_step()

    def _look_before_step(self, *, gradients: bool = True) -> None:
        self._early = []
        if gradients:  # otherwise the passes are still to come, inside the step
            self._settle_order()
            self._look_at_gradients()
        if self._everything:
            self._early += groups_of(Kind.WEIGHT, self._weights.now)
            self._weights.keep()

    def _look_after_step(self, *, gradients: bool) -> None:
        if gradients:
            self._look_at_gradients()
        if self._everything:
            self._early += groups_of(Kind.UPDATE, self._weights.updates())

    def _look_at_gradients(self) -> None:
        self._early += groups_of(Kind.GRADIENT, self._weights.gradients_for(self._optimizer))
        self._treated = self._raw.take(self._scale())

    def _end_step(self) -> None:
        self._settle_order()
        overflow = self._overflow()
        if self._due:
            with self.timer:
                self._hand_over(self._passes.disarm(), overflow)
        elif overflow is not None:
            with self.timer:
                self._tell_skipped(self._gradients_on_cpu(), overflow)
        seconds, cost = self.timer.lap()
        slowed, settled = self._uncompiled.is_on, not is_compiling()
        self._schedule.note(Lap(seconds=seconds, cost=cost, recorded=self._due, slowed=slowed, settled=settled))
        self.step, self._attempt = self.step + 1, 0
        self._due = self._schedule(self.step)
        self._prepare()

    def _hand_over(self, seen: Mapping[Watched, Seen], overflow: Transfer | None = None) -> None:
        groups, self._early = self._early, []
        if self._captured is not None and not seen:
            seen = self._captured.passes_now()
        shares = {index: Shares(seen[layer]) for index, layer in enumerate(self._layers) if layer in seen}
        groups += self._groups_of_passes(seen)
        raw, self._treated = self._treated, None
        told = self._gains.disarm() or (self._captured.told if self._captured is not None else {})
        sent = {(self._layers.index(layer), method): said.send() for (layer, method), said in told.items()}
        record = Record(
            *(self.step, self._names, self._kinds, groups),
            shares=shares,
            told=sent,
            raw=raw,
            causes=self._causes.take(self._layers),
            overflow=overflow,
        )
        self._raw.forget()
        self._receiver.record(record)
        if overflow is not None:
            self._receiver.skip(Skip(record=record, attempt=self._attempt, scale=self._scale()))

    def _groups_of_passes(self, seen: Mapping[Watched, Seen]) -> list[Group]:
        return groups_of_passes(self._layers, seen, self._scale()) if seen else []

    @contextmanager
    def scaled_step(self, optimizer: Optimizer, scale: Tensor) -> Iterator[None]:
        """Within, a GradScaler that multiplied the loss by `scale` hands the step to that optimiser, or skips it."""
        if optimizer is not self._optimizer or self._scaled_by is not None:  # or somebody has wrapped the wrapper
            yield
            return
        self._scaled_by, before = scale, self.step
        try:
            yield
            if self.step == before:
                with self.timer:
                    self._on_skipped()
        finally:
            self._scaled_by = None

    def _scale(self) -> Transfer | None:
        return None if self._scaled_by is None else Transfer(self._scaled_by)

    def _on_skipped(self) -> None:
        """The scaler skipped the step in progress: what was seen of it only tells where it overflowed."""
        self._settle_order()
        groups = [*self._raw.groups, *groups_of(Kind.GRADIENT, self._weights.gradients())]
        self._tell_skipped(groups + self._groups_of_passes(self._passes.disarm()), _CERTAIN)
        self._gains.disarm()
        self._causes.take(())
        self._raw.forget()
        self._attempt += 1
        self._prepare()

    def _tell_skipped(self, groups: Sequence[Group], overflow: Transfer) -> None:
        kinds = (Kind.ACTIVATION, Kind.SIGNAL, Kind.RAW_GRADIENT, Kind.GRADIENT)
        record = Record(self.step, self._names, kinds, groups, overflow=overflow)
        self._receiver.skip(Skip(record=record, attempt=self._attempt, scale=self._scale()))

    def _overflow(self) -> Transfer | None:
        """What a GradScaler found, of a fused optimiser that skips the step by itself; None if it is known to be 0."""
        found = getattr(self._optimizer, "found_inf", None)
        return None if found is None or (found.is_cpu and not found) else Transfer(found)

    def _gradients_on_cpu(self) -> list[Group]:
        """Only there it is known before the next step that this one was skipped, and worth a look at its gradients."""
        return groups_of(Kind.GRADIENT, [(layer, g) for layer, g in self._weights.gradients() if g.is_cpu])

    def _settle_order(self) -> None:
        """After the first passes: number the layers in the order of their use, once and for all."""
        if self._order is None:
            return
        before, self._layers = self._layers, self._order.sort(self._layers)
        place = {layer: index for index, layer in enumerate(self._layers)}
        for group in [*self._early, *self._raw.groups]:
            group.layers = [place[before[index]] for index in group.layers]
        self._weights.put_in_order(self._layers)
        self._order.forget()
        self._order = None
        self._receiver.layers([layer.record(index) for index, layer in enumerate(self._layers)])

    @property
    def _names(self) -> list[str]:
        return [layer.name for layer in self._layers]

    def _prepare(self) -> None:
        """For the step to come."""
        if self._due:
            with self.timer:
                self._raw.arm()
                if self._everything or self._gains or self._splits:
                    self._look_at_passes()
                    return
        else:
            self._raw.disarm()
        self._passes.disarm()
        self._gains.disarm()
        if self._order is None:
            self._uncompiled.off()
        else:
            self._uncompiled.on()

    def _look_at_passes(self) -> None:
        if self._everything:
            self._passes.arm()
        self._gains.arm()
        self._uncompiled.on()


def _kinds_of(log: Log, optimizer: Optimizer | None) -> Sequence[Kind]:
    if log not in _KINDS:
        raise RecorderError(f'log={log!r} is not known; give log="gradients" or log="all"')
    return [k for k in _KINDS[log] if optimizer is not None or k is not Kind.UPDATE]


def _has_closure(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    """Whether step() was given a closure, inside which the gradients are made. The first argument is the optimiser."""
    return options.get("closure") is not None or any(a is not None for a in arguments[1:])
