"""What methods multiply the back-propagated error by: they are asked on the steps that are due."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from torch import Tensor, nn

from gradscope.recorder.hooks import Hook
from gradscope.recorder.layers import Watched, find_layers
from gradscope.recorder.measure import Transfer
from gradscope.recorder.timer import Timer
from gradscope.records import Gain


@runtime_checkable
class Source(Protocol):
    """A module, or a hook on one, that changes the size of the error and tells by how much."""

    gain_of: str
    """Name of the method."""
    gain_listeners: list[Callable[[Tensor, Tensor | None], None]]
    """Called in each backward pass with the mean gain over the samples and the share above one, or None."""


@dataclass(eq=False)
class Told:
    """All that one source said in a step, on its device; in a CUDA graph these are the tensors that replays fill."""

    gains: list[Tensor] = field(default_factory=list)
    """One for each backward pass, 0-dim."""
    shares: list[Tensor] = field(default_factory=list)

    def send(self) -> "Sent":
        """Its present values, on their way to the host."""
        return Sent(gains=[Transfer(t) for t in self.gains], shares=[Transfer(t) for t in self.shares])


@dataclass(frozen=True, kw_only=True)
class Sent:
    """The same, perhaps still on its way."""

    gains: Sequence[Transfer]
    shares: Sequence[Transfer]

    def resolve(self, step: int, layer: int, method: str) -> Gain:
        """As it is stored, the passes averaged; waits for the device."""
        gain, share = (_mean([float(t.wait()) for t in told]) for told in (self.gains, self.shares))
        return Gain(step=step, layer=layer, method=method, gain=gain, share_above_one=share)


def _mean(values: Sequence[float]) -> float | None:
    mean = sum(values) / len(values) if values else math.nan
    return mean if math.isfinite(mean) else None


class Gains:
    """Listens to every source in a model while armed, and costs nothing while not.

    A source belongs to the layer it is a hook of, or, if it is a module, to the last layer listed before it: an
    activation to the layer that feeds it.
    """

    def __init__(self, model: nn.Module, layers: Sequence[Watched], timer: Timer) -> None:
        self._sources = list(_sources(model, {layer.module: layer for layer in layers}))
        self._timer = timer
        self._listening: list[tuple[Source, Hook]] = []
        self._told: dict[tuple[Watched, str], Told] = {}
        self.deaf = False
        """Whether the passes now under way are the recorder's own and do not count."""

    def __len__(self) -> int:
        return len(self._sources)

    def arm(self) -> None:
        """Listen from now on; an armed one stays as it is."""
        if self._listening:
            return
        for source, layer in self._sources:
            hook = Hook(self, Gains._on_gain, layer, source.gain_of)
            source.gain_listeners.append(hook)
            self._listening.append((source, hook))

    def disarm(self) -> Mapping[tuple[Watched, str], Told]:
        """Listen no more; what was told since it was armed, by layer and method."""
        for source, hook in self._listening:
            source.gain_listeners.remove(hook)
        self._listening.clear()
        told, self._told = self._told, {}
        return told

    def _on_gain(self, layer: Watched, method: str, gain: Tensor, share: Tensor | None) -> None:
        if self.deaf:
            return
        with self._timer:
            told = self._told.setdefault((layer, method), Told())
            told.gains.append(gain)
            if share is not None:
                told.shares.append(share)


def _sources(model: nn.Module, watched: Mapping[nn.Module, Watched]) -> list[tuple[Source, Watched]]:
    found: list[tuple[Source, Watched]] = []
    weighted = {layer.module for layer in find_layers(model)}
    latest: Watched | None = None
    for module in model.modules():
        latest = watched.get(module) if module in weighted else latest
        candidates = (module, *module._forward_pre_hooks.values(), *module._forward_hooks.values())
        if latest is not None:
            found += [(c, latest) for c in candidates if isinstance(c, Source)]
    return found
