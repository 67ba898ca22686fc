"""The weights of the watched layers: their gradients, and how far a step moves them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.recorder.layers import Watched

OfLayers = Sequence[tuple[int, Tensor]]
"""(index of its layer, tensor); several of one layer add up."""


class Weights:
    """Every weight of every layer, in the layers' order."""

    def __init__(self, layers: Sequence[Watched]) -> None:
        self._old: dict[nn.Parameter, Tensor] = {}
        self.put_in_order(layers)

    def put_in_order(self, layers: Sequence[Watched]) -> None:
        """Number the layers by their place in the list."""
        self.now = [(index, w) for index, layer in enumerate(layers) for w in layer.weights]
        """(layer, weight) of each."""

    def gradients(self) -> OfLayers:
        """As they are; layers that have none are left out."""
        return [(layer, w.grad) for layer, w in self.now if w.grad is not None]

    def gradients_for(self, optimizer: Optimizer | None) -> OfLayers:
        """As the optimiser sees them; a fused one is handed scaled gradients and the scale."""
        scale = getattr(optimizer, "grad_scale", None)
        found = self.gradients()
        return found if scale is None else [(layer, g / scale.to(g.device)) for layer, g in found]

    def keep(self) -> None:
        """Remember the weights as they are before the step.

        Copies in CPU memory stay from record to record: fresh memory costs more there than the copying.
        """
        with torch.no_grad():
            for _, weight in self.now:
                old = self._old.get(weight)
                if old is not None and old.shape == weight.shape and old.dtype == weight.dtype and weight.is_cpu:
                    old.copy_(weight)
                elif weight.requires_grad:
                    self._old[weight] = weight.detach().clone()

    def updates(self) -> OfLayers:
        """What was added to each since `keep`."""
        with torch.no_grad():
            updates = {w: torch.sub(w, old, out=old) for w, old in self._old.items()}
        self._old = {w: old for w, old in self._old.items() if w.is_cpu}
        return [(layer, updates[w]) for layer, w in self.now if w in updates]

    def forget(self) -> None:
        """Give the copies back."""
        self._old.clear()
