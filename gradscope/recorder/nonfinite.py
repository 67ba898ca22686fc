"""Where a network stops being finite."""

import torch
from torch import Tensor, nn

from gradscope.recorder.hooks import Hook, Hooks
from gradscope.recorder.layers import Watched, find_layers
from gradscope.records import NonFinite


def locate_nonfinite(model: nn.Module, images: Tensor, *, step: int) -> NonFinite:
    """The first layer, from the input, whose weights or outputs hold a NaN or an infinity; the loss if there is none.

    Args:
        model: the network as it was when its loss was not finite.
        images: the batch that led to that loss, shape [N, C, H, W], normalised.
        step: the optimiser step, for the answer.
    """
    layers = find_layers(model)
    for layer in layers:
        if not all(_is_finite(weight) for weight in layer.weights):
            return NonFinite(step=step, layer=layer.name, kind="weight")
    search = _Search(layers)
    with torch.no_grad(), search:
        model(images)
    if search.found is not None:
        return NonFinite(step=step, layer=search.found, kind="activation")
    return NonFinite(step=step, layer=None, kind="loss")


def _is_finite(tensor: Tensor) -> bool:
    return bool(torch.isfinite(tensor).all())


class _Search:
    """Hooks on every layer that keep the name of the first one with a bad output."""

    found: str | None = None

    def __init__(self, layers: list[Watched]) -> None:
        self._layers = layers
        self._hooks = Hooks()

    def __enter__(self) -> None:
        for layer in self._layers:
            self._hooks.add(layer.module.register_forward_hook(Hook(self, _Search._look, layer.name)))

    def __exit__(self, *_: object) -> None:
        self._hooks.remove()

    def _look(self, name: str, module: nn.Module, inputs: object, output: object) -> None:
        if self.found is None and isinstance(output, Tensor) and not _is_finite(output):
            self.found = name
