"""What is true of a network, measured on all training pictures at once, by neither the recorder nor the rules.

A planted fault seldom comes alone: weights that are far too large saturate units, and the error that they send back
explodes as well. What is told of such a run beside its fault is right where this measurement says so too.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from torch import Tensor, nn

from gradscope.models.blocks import Block

DEEP = 4
"""Hidden layers from which on a decay over depth is spoken of."""

VANISHES, EXPLODES, DIES = 1.5, 1.2, 1.8
"""Decades between the first and the last hidden layer: lost by the error, gained by it, lost by the activations."""
HUGE_LOGITS = 30.0
DEAD, SATURATED = 0.7, 0.8
"""Share of a layer's units that are zero for every picture; of its outputs that sit at the ends of their activation."""
SKIPPED = 0.02
"""Share of the steps that gradient scaling did not take."""
RISES, RISE = 1.0, 0.05
"""What a loss goes up by in all, and at once to count, in units of what knowing nothing costs, where it swings."""

_ENDS: Mapping[type[nn.Module], tuple[float, float]] = {nn.Tanh: (-0.97, 0.97), nn.Sigmoid: (0.03, 0.97)}


@dataclass(frozen=True, kw_only=True)
class Look:
    """At a network at one time; NaN for what it does not have."""

    error_rise: float
    """log10 of the error's RMS at the last hidden layer over that at the first."""
    signal_fall: float
    """log10 of the activations' RMS at the first hidden layer over that at the last."""
    logits: float
    """RMS."""
    dead: float
    """The largest share of dead units of a layer, 0..1."""
    saturated: float
    """The largest share of saturated outputs of a layer, 0..1."""

    @property
    def names(self) -> frozenset[str]:
        """The findings that are true of it."""
        true = {
            "vanishing_gradient": self.error_rise >= VANISHES,
            "exploding_gradient": -self.error_rise >= EXPLODES,
            "dying_signal": self.signal_fall >= DIES,
            "exploding_signal": self.logits >= HUGE_LOGITS,
            "dead_units": self.dead >= DEAD,
            "saturated_units": self.saturated >= SATURATED,
        }
        return frozenset(name for name, holds in true.items() if holds)


class _Watch:
    """What passes through the blocks of a network in one forward and backward pass."""

    def __init__(self, model: nn.Module) -> None:
        self.sizes: list[float] = []
        self.errors: list[Tensor] = []
        self.dead: list[float] = []
        self.saturated: list[float] = []
        for block in (m for m in model.modules() if isinstance(m, Block)):
            block.layer.register_forward_hook(self._layer)
            block.activation.register_forward_hook(self._activation)

    def _layer(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        self.sizes.append(_rms(output))
        if output.requires_grad:  # not where the first layers are frozen
            output.retain_grad()
            self.errors.append(output)

    def _activation(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        if isinstance(module, nn.ReLU):
            units = output.detach().transpose(0, 1).flatten(1)  # [units or channels, pictures and positions]
            self.dead.append(float((units == 0).all(dim=1).double().mean()))
        elif type(module) in _ENDS:
            low, high = _ENDS[type(module)]
            self.saturated.append(float(((output < low) | (output > high)).double().mean()))


def look(model: nn.Module, images: Tensor, loss_of: Callable[[Tensor], Tensor]) -> Look:
    """One forward and backward pass over all pictures [N, C, H, W], which leaves hooks behind: give it a copy."""
    watch = _Watch(model)
    logits = model(images)
    loss_of(logits).backward()
    errors = [_rms(output.grad) for output in watch.errors if output.grad is not None]
    deep = len(watch.errors) >= DEEP
    return Look(
        error_rise=_decades(errors[-1], errors[0]) if deep and len(errors) == len(watch.errors) else math.nan,
        signal_fall=_decades(watch.sizes[0], watch.sizes[-1]) if deep else math.nan,
        logits=_rms(logits),
        dead=max(watch.dead, default=math.nan),
        saturated=max(watch.saturated, default=math.nan),
    )


def swings(losses: Sequence[float], ignorant: float) -> bool:
    """Whether a loss, measured on the same pictures again and again, goes up by more than it typically is, in all.

    Args:
        losses: in nats, at equal distances over the training; what comes after one that is not finite does not count.
        ignorant: what a network costs that knows nothing, ln K; a loss that is typically larger is its own measure.
    """
    known = np.array(list(takewhile(math.isfinite, losses)))
    if known.size < 2:
        return False
    unit, moves = max(ignorant, float(np.median(known))), np.diff(known)
    rises = moves[moves > RISE * unit]
    return bool(rises.size >= 3 and rises.sum() >= RISES * unit)


def _rms(values: Tensor) -> float:
    return float(values.detach().double().square().mean().sqrt())


def _decades(a: float, b: float) -> float:
    return math.log10(a / b) if 0 < a < math.inf and 0 < b < math.inf else math.nan
