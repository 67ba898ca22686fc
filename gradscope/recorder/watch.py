"""Watching a network train: measures its layers on the steps that are due, through the optimiser's own hooks."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.errors import RecorderError
from gradscope.recorder.hooks import Hook, Hooks
from gradscope.recorder.layers import Choice, Order, Watched, find_layers, unwrapped
from gradscope.recorder.measure import Measured, compiled, measure
from gradscope.recorder.passes import Passes, Seen
from gradscope.recorder.record import Part, Record
from gradscope.recorder.schedule import Schedule
from gradscope.recorder.timer import Timer
from gradscope.records import Kind, Layer

Log = Literal["gradients", "all"]
_LOGS = ("gradients", "all")


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
        if log not in _LOGS:
            raise RecorderError(f'log={log!r} is not known; give log="gradients" or log="all"')
        self._layers = find_layers(model, choice)
        self._optimizer = optimizer
        self._schedule = schedule
        self._everything = log == "all"
        self._receiver = receiver
        self.timer = Timer()
        self.step = step
        """The optimiser step in progress."""
        self._first_step = step
        self._order: Order | None = Order(model)
        self._passes = Passes(unwrapped(model), self._layers, self.timer)
        self._is_compiled = any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules())
        self._eager = ExitStack()
        self._early: list[Part] = []
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
        self._eager.close()
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
        self._settle_order()
        self._early = self._measure(Kind.GRADIENT, self._gradients()) if gradients else []
        if self._everything:
            self._early += self._measure(Kind.WEIGHT, [list(layer.weights) for layer in self._layers])
            self._old = {w: w.detach().clone() for layer in self._layers for w in layer.weights if w.requires_grad}

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
        parts, self._early, self._old = self._early, [], {}
        if self._everything:
            parts += self._of_passes(seen)
        self._receiver.record(Record(self.step, [layer.name for layer in self._layers], parts))

    def _gradients(self) -> list[list[Tensor]]:
        """Of each layer, as the optimiser sees them: a fused one is handed scaled ones together with the scale."""
        found = [[w.grad for w in layer.weights if w.grad is not None] for layer in self._layers]
        scale = getattr(self._optimizer, "grad_scale", None)
        return found if scale is None else [[g / scale.to(g.device) for g in gradients] for gradients in found]

    def _updates(self) -> list[list[Tensor]]:
        with torch.no_grad():
            for weight, old in self._old.items():
                torch.sub(weight, old, out=old)
        return [[self._old[w] for w in layer.weights if w in self._old] for layer in self._layers]

    def _measure(self, kind: Kind, tensors: Sequence[Sequence[Tensor]]) -> list[Part]:
        """One part a layer; the tensors of all layers of one device are measured at once."""
        by_device: dict[torch.device, list[tuple[int, Tensor]]] = defaultdict(list)
        for layer, its in enumerate(tensors):
            for tensor in its:
                by_device[tensor.device].append((layer, tensor))
        rows: list[list[tuple[Measured, int]]] = [[] for _ in tensors]
        for found in by_device.values():
            measured = measure([tensor for _, tensor in found])
            for row, (layer, _) in enumerate(found):
                rows[layer].append((measured, row))
        return [Part(layer=layer, kind=kind, rows=its) for layer, its in enumerate(rows)]

    def _of_passes(self, seen: Mapping[Watched, Seen]) -> Iterator[Part]:
        for index, layer in enumerate(self._layers):
            its = seen.get(layer) or Seen()
            activations = [(m, 0) for m in its.activations]
            yield Part(layer=index, kind=Kind.ACTIVATION, rows=activations, shares=its.shares())
            yield Part(layer=index, kind=Kind.SIGNAL, rows=[(m, 0) for m in its.signals])

    def _settle_order(self) -> None:
        """After the first passes: number the layers in the order of their use, once and for all."""
        if self._order is None:
            return
        self._layers = self._order.sort(self._layers)
        self._order.forget()
        self._order = None
        self._receiver.layers([layer.record(index) for index, layer in enumerate(self._layers)])

    def _prepare(self) -> None:
        """For the step to come."""
        if self._everything and self._due:
            self._look_at_passes()
            return
        self._passes.disarm()
        if self._order is None:
            self._eager.close()
        else:
            self._run_uncompiled()

    def _look_at_passes(self) -> None:
        if self._everything:
            self._passes.arm()
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
