"""Signals and activations: what a recorded step's forward and backward passes show of every layer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gradscope.recorder.groups import Group, groups_of
from gradscope.recorder.hooks import Hook, Hooks
from gradscope.recorder.layers import Watched
from gradscope.recorder.measure import Measured, Transfer, measure, share_beyond, thinned
from gradscope.recorder.sharded import part
from gradscope.recorder.timer import Timer
from gradscope.records import Kind

_EDGES: Mapping[type[nn.Module], tuple[float, float]] = {nn.Tanh: (-0.97, 0.97), nn.Sigmoid: (0.03, 0.97)}
"""Beyond these outputs a unit is saturated: there the derivative is below 6 % of its peak (tanh) or 12 % (sigmoid)."""

_RECTIFIERS = (nn.ReLU, nn.ReLU6, nn.Threshold, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Softshrink, nn.Hardshrink)
"""Activations that are exactly zero over a whole range of inputs, so that a unit can be dead."""


_SMALL, _KEPT = 1 << 16, 1 << 22
"""Outputs of up to so many elements are kept, up to so many elements in all, to be measured together at the end of the
step: to measure one by one what is small costs many times the counting."""

Noted = Measured | Tensor
"""Measured at once, or a copy to be measured."""


@dataclass(eq=False)
class Seen:
    """Everything of one layer in one step, all its calls and all micro-batches together."""

    outputs: Mapping[Kind, list[Noted]] = field(default_factory=lambda: {Kind.ACTIVATION: [], Kind.SIGNAL: []})
    """One for each call."""
    saturated: list[Tensor | float] = field(default_factory=list)
    """Share of saturated outputs of each call, 0-dim where a device counted."""
    alive: Tensor | None = None
    """Per unit: whether any output was not zero."""


class Shares:
    """What the activation that follows a layer does to its outputs, perhaps still on its way from a device."""

    def __init__(self, seen: Seen) -> None:
        self._saturated: Sequence[Tensor | Transfer | float] = seen.saturated
        self._alive: Tensor | None = seen.alive
        self._dead: Transfer | None = None
        if any(isinstance(t, Tensor) and t.is_cuda for t in seen.saturated):
            self._saturated = [Transfer(t) if isinstance(t, Tensor) else t for t in seen.saturated]
        if seen.alive is not None and seen.alive.is_cuda:
            self._alive, self._dead = None, Transfer((~seen.alive).double().mean())

    def saturated(self) -> float | None:
        """Share in 0..1 of the outputs at the activation's ends; None where it has none."""
        shares = [float(s.wait() if isinstance(s, Transfer) else s) for s in self._saturated]
        return sum(shares) / len(shares) if shares else None

    def dead(self) -> float | None:
        """Share in 0..1 of the units that were zero in the whole step; None where the activation is no rectifier."""
        if self._dead is not None:
            return float(self._dead.wait())
        return None if self._alive is None else float((~self._alive).double().mean())


class Passes:
    """Watches the passes of one step while armed, and costs nothing while not.

    Only training passes count: those with gradients enabled while the model is in training mode. Evaluations in
    between, under no_grad or in eval mode, are not seen, nor is the second forward pass of activation checkpointing.
    """

    def __init__(self, model: nn.Module, layers: Sequence[Watched], timer: Timer) -> None:
        self._model = model
        self._layers = [layer for layer in layers if layer.passes]
        self._activations = {m: kind for m in model.modules() if (kind := _activation(m)) is not None}
        self._timer = timer
        self._hooks = Hooks()
        self._seen: dict[Watched, Seen] = {}
        self._kept = 0
        """Elements of the copies among them."""
        self._latest: Watched | None = None
        """The layer that was called last, while no activation module has followed it."""
        self.deaf = False
        """Whether the passes now under way are the recorder's own and do not count."""

    def arm(self) -> None:
        """Look at the passes from now on; an armed one stays as it is."""
        if self._hooks:
            return
        for layer in self._layers:
            self._hooks.add(layer.module.register_forward_hook(Hook(self, Passes._after_layer, layer)))
        for module in self._activations:
            self._hooks.add(module.register_forward_hook(Hook(self, Passes._after_activation)))

    def disarm(self) -> dict[Watched, Seen]:
        """Look no more; returns what was seen since it was armed."""
        self._hooks.remove()
        seen, self._seen, self._latest, self._kept = self._seen, {}, None, 0
        return seen

    def _after_layer(self, layer: Watched, module: nn.Module, inputs: object, output: object) -> None:
        tensor = _first_tensor(output)
        self._latest = None
        if tensor is None or not self._counts(layer):
            return
        with self._timer:
            seen = self._seen.setdefault(layer, Seen())
            self._latest = layer
            seen.outputs[Kind.ACTIVATION].append(self._note(tensor))
            if tensor.requires_grad:
                # A tensor hook, because it also bears an activation that changes the output in place afterwards: it
                # still gets the gradient of the value as the layer put it out.
                tensor.register_hook(Hook(self, Passes._on_signal, layer, seen))  # type: ignore[no-untyped-call]

    def _on_signal(self, layer: Watched, seen: Seen, signal: Tensor) -> None:
        if (
            self._seen.get(layer) is seen and not self.deaf
        ):  # and not a graph of an earlier step, kept and run backward once more
            with self._timer:
                seen.outputs[Kind.SIGNAL].append(self._note(signal))

    def _note(self, tensor: Tensor) -> Noted:
        some = thinned(part(tensor.detach())[0])
        n = some.numel()
        if n > _SMALL or self._kept + n > _KEPT:
            return measure([some])
        self._kept += n
        return some.clone()

    def _after_activation(self, module: nn.Module, inputs: object, output: object) -> None:
        layer, tensor = self._latest, _first_tensor(output)
        if layer is None or tensor is None or self.deaf:
            return
        with self._timer, torch.no_grad():
            self._latest = None
            kind, seen = self._activations[module], self._seen[layer]
            if kind in _EDGES:
                low, high = _EDGES[kind]
                some = thinned(part(tensor.detach())[0])
                seen.saturated.append(share_beyond(some, low, high))
            else:
                alive = _alive(tensor.detach(), layer.module)
                seen.alive = alive if seen.alive is None or seen.alive.shape != alive.shape else seen.alive | alive

    def _counts(self, layer: Watched) -> bool:
        if self.deaf or not (torch.is_grad_enabled() and self._model.training):
            return False
        in_backward = torch._C._current_graph_task_id() != -1  # where checkpointing runs the forward pass once more
        return not (in_backward and layer in self._seen)


def groups_of_passes(layers: Sequence[Watched], seen: Mapping[Watched, Seen], scale: Transfer | None) -> list[Group]:
    """Activations and signals of a step, with those measured that were kept.

    Args:
        layers: in their order.
        seen: of some of them.
        scale: what the loss was multiplied by, and with it every signal.
    """
    groups: list[Group] = []
    for kind in (Kind.ACTIVATION, Kind.SIGNAL):
        its = [(i, one) for i, layer in enumerate(layers) if layer in seen for one in seen[layer].outputs[kind]]
        groups += [Group(kind, [i], one) for i, one in its if isinstance(one, Measured)]
        groups += groups_of(kind, [(i, one) for i, one in its if isinstance(one, Tensor)])
    for group in groups:
        group.scale = scale if group.kind is Kind.SIGNAL else None
    return groups


def _first_tensor(output: object) -> Tensor | None:
    """The first real-valued tensor in a module's output: itself, or of a tuple, list or mapping."""
    if isinstance(output, Tensor):
        return output if output.is_floating_point() and output.device.type != "meta" else None
    parts = output.values() if isinstance(output, Mapping) else output if isinstance(output, tuple | list) else ()
    return next((t for t in map(_first_tensor, parts) if t is not None), None)


def _activation(module: nn.Module) -> type[nn.Module] | None:
    """Which activation a module is, also where it wraps one to change its backward pass; None for any other module."""
    kinds = (*_EDGES, *_RECTIFIERS)
    if type(module) in kinds:
        return type(module)
    inner = list(module.children())
    return _activation(inner[0]) if len(inner) == 1 and not any(True for _ in module.parameters()) else None


def _alive(output: Tensor, layer: nn.Module) -> Tensor:
    """Per unit, whether any output is not zero. A unit is a channel of a convolution, else a last-dimension feature."""
    spatial = len(getattr(layer, "kernel_size", ())) if isinstance(layer, nn.modules.conv._ConvNd) else 0
    unit = output.dim() - 1 - spatial if output.dim() > spatial else output.dim() - 1
    others = [d for d in range(output.dim()) if d != unit]
    return (output != 0).any(dim=others) if others else output != 0
