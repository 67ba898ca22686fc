"""Watching a network train: measures its layers on the steps that are due, through the optimiser's own hooks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.errors import RecorderError
from gradscope.recorder.gains import Gains
from gradscope.recorder.hooks import Hook, Hooks
from gradscope.recorder.layers import Choice, Order, Watched, find_layers, unwrapped
from gradscope.recorder.measure import compiled, measure
from gradscope.recorder.passes import Passes, Seen, Shares
from gradscope.recorder.record import Group, Record
from gradscope.recorder.schedule import Schedule
from gradscope.recorder.timer import Timer
from gradscope.records import Kind, Layer

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


class Watch:
    """Hooks on one model and its optimiser.

    Per step: `before` (all gradients are there, nothing has moved) and `after` (the weights have moved). Whether a step
    is due is settled at the end of the one before it, so its passes can be looked at; on all other steps the recorder
    costs one comparison at each end.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizer | None,
        *,
        schedule: Schedule,
        log: Log,
        choice: Choice,
        step: int,
        receiver: Receiver,
    ) -> None:
        if log not in _KINDS:
            raise RecorderError(f'log={log!r} is not known; give log="gradients" or log="all"')
        self._layers = find_layers(model, choice)
        self._list_weights()
        self._optimizer = optimizer
        self._schedule = schedule
        self._everything = log == "all"
        self._kinds = [k for k in _KINDS[log] if optimizer is not None or k is not Kind.UPDATE]
        self._receiver = receiver
        self.timer = Timer()
        self.step = step
        """The optimiser step in progress."""
        self._first_step = step
        self._order: Order | None = Order(model)
        self._passes = Passes(unwrapped(model), self._layers, self.timer)
        self._gains = Gains(unwrapped(model), self._layers, self.timer)
        self._is_compiled = any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules())
        self._eager = ExitStack()
        self._early: list[Group] = []
        """Measured before the optimiser moved the weights."""
        self._old: dict[nn.Parameter, Tensor] = {}
        self._hooks = Hooks()
        if optimizer is not None:
            self._hooks.add(optimizer.register_step_pre_hook(Hook(self, Watch._on_step)))
            self._hooks.add(optimizer.register_step_post_hook(Hook(self, Watch._on_stepped)))
        compiled()
        self._due = schedule(step)
        self._prepare()

    @property
    def steps_done(self) -> int:
        """Steps since the watch began."""
        return self.step - self._first_step

    def remove(self) -> None:
        """Take every hook away."""
        self._hooks.remove()
        self._passes.disarm()
        self._gains.disarm()
        self._eager.close()
        self._old.clear()
        if self._order is not None:
            self._order.forget()

    def record_step(self) -> None:
        """Count a step of a loop that has no optimiser to be hooked: call it when all gradients are there.

        Raises:
            RecorderError: the optimiser that was given counts the steps already.
        """
        if self._optimizer is not None:
            raise RecorderError(
                "record_step() is for loops without an optimiser; the one given to watch() counts the steps already"
            )
        if self._due:
            self._look_before_step()
        self._end_step()

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Record the passes made inside under the step in progress, whatever the schedule says, and take no step."""
        self._look_at_passes()
        yield
        with self.timer:
            self._look_before_step()
            self._hand_over(self._passes.disarm())
        self._prepare()

    # Any: an optimiser hands on whatever its step() was called with
    def _on_step(self, optimizer: Optimizer, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        if self._due:
            with self.timer:
                self._look_before_step(gradients=not _has_closure(arguments, options))

    def _on_stepped(self, optimizer: Optimizer, arguments: tuple[Any, ...], options: Mapping[str, Any]) -> None:
        if self._due and _has_closure(arguments, options):
            with self.timer:
                self._early += self._measure(Kind.GRADIENT, self._gradients())
        self._end_step()

    def _look_before_step(self, *, gradients: bool = True) -> None:
        if gradients:  # otherwise the passes are still to come, inside the step
            self._settle_order()
        self._early = self._measure(Kind.GRADIENT, self._gradients()) if gradients else []
        if self._everything:
            self._early += self._measure(Kind.WEIGHT, self._weights)
            self._keep_old_weights()

    def _end_step(self) -> None:
        self._settle_order()
        if self._due:
            with self.timer:
                if self._everything and self._optimizer is not None:
                    self._early += self._measure(Kind.UPDATE, self._updates())
                self._hand_over(self._passes.disarm())
        self.step += 1
        self._due = self._schedule(self.step)
        self._prepare()

    def _hand_over(self, seen: Mapping[Watched, Seen]) -> None:
        groups, self._early = self._early, []
        shares: dict[int, Shares] = {}
        if self._everything:
            for index, layer in enumerate(self._layers):
                if layer in seen:
                    groups += [Group(Kind.ACTIVATION, [index], m) for m in seen[layer].activations]
                    groups += [Group(Kind.SIGNAL, [index], m) for m in seen[layer].signals]
                    shares[index] = Shares(seen[layer])
        told = {(self._layers.index(layer), method): said for (layer, method), said in self._gains.disarm().items()}
        self._receiver.record(Record(self.step, self._names, self._kinds, groups, shares, told))

    def _gradients(self) -> list[tuple[int, Tensor]]:
        """(layer, gradient) as the optimiser sees it; a fused one is handed scaled gradients and the scale."""
        found = [(layer, w.grad) for layer, w in self._weights if w.grad is not None]
        scale = getattr(self._optimizer, "grad_scale", None)
        return found if scale is None else [(layer, g / scale.to(g.device)) for layer, g in found]

    def _keep_old_weights(self) -> None:
        """Copies in CPU memory stay from record to record: fresh memory costs more there than the copying."""
        with torch.no_grad():
            for _, weight in self._weights:
                old = self._old.get(weight)
                if old is not None and old.shape == weight.shape and old.dtype == weight.dtype and weight.is_cpu:
                    old.copy_(weight)
                elif weight.requires_grad:
                    self._old[weight] = weight.detach().clone()

    def _updates(self) -> list[tuple[int, Tensor]]:
        with torch.no_grad():
            updates = {w: torch.sub(w, old, out=old) for w, old in self._old.items()}
        self._old = {w: old for w, old in self._old.items() if w.is_cpu}
        return [(layer, updates[w]) for layer, w in self._weights if w in updates]

    def _measure(self, kind: Kind, tensors: Sequence[tuple[int, Tensor]]) -> list[Group]:
        """The tensors of all layers that lie on one device are measured at once."""
        devices = {t.device for _, t in tensors}
        groups = []
        for device in devices:
            its = tensors if len(devices) == 1 else [(layer, t) for layer, t in tensors if t.device == device]
            groups.append(Group(kind, [layer for layer, _ in its], measure([t for _, t in its])))
        return groups

    def _settle_order(self) -> None:
        """After the first passes: number the layers in the order of their use, once and for all."""
        if self._order is None:
            return
        before, self._layers = self._layers, self._order.sort(self._layers)
        place = {layer: index for index, layer in enumerate(self._layers)}
        for group in self._early:
            group.layers = [place[before[index]] for index in group.layers]
        self._list_weights()
        self._order.forget()
        self._order = None
        self._receiver.layers([layer.record(index) for index, layer in enumerate(self._layers)])

    def _list_weights(self) -> None:
        self._names = [layer.name for layer in self._layers]
        self._weights = [(index, w) for index, layer in enumerate(self._layers) for w in layer.weights]

    def _prepare(self) -> None:
        """For the step to come."""
        if self._due and (self._everything or self._gains):
            self._look_at_passes()
            return
        self._passes.disarm()
        self._gains.disarm()
        if self._order is None:
            self._eager.close()
        else:
            self._run_uncompiled()

    def _look_at_passes(self) -> None:
        if self._everything:
            self._passes.arm()
        self._gains.arm()
        self._run_uncompiled()

    def _run_uncompiled(self) -> None:
        """Until further notice: compiled code does not call hooks that were set after it was compiled."""
        if self._is_compiled:
            self._eager.close()
            stance = torch.compiler.set_stance("force_eager")
            self._eager.callback(stance.__exit__, None, None, None)


def _has_closure(arguments: tuple[Any, ...], options: Mapping[str, Any]) -> bool:
    """Whether step() was given a closure, inside which the gradients are made. The first argument is the optimiser."""
    return options.get("closure") is not None or any(a is not None for a in arguments[1:])
