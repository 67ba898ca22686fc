"""Which modules of a network are layers, what they are called, and in which order the forward pass uses them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from gradscope.errors import RecorderError
from gradscope.recorder.hooks import Hook, Hooks
from gradscope.records import Layer

Choice = str | re.Pattern[str] | Callable[[str, nn.Module], bool] | None
"""Which layers to record: a regular expression searched for in the name, a predicate of name and module, or all."""


_WRAPPERS = (nn.DataParallel, nn.parallel.DistributedDataParallel)


@dataclass(frozen=True, kw_only=True, eq=False)
class Watched:
    """A layer of a live network."""

    name: str
    module: nn.Module
    weights: tuple[nn.Parameter, ...]
    """Usually one; a recurrent layer has one from its input and one from its own past."""
    passes: bool = True
    """Whether the module's output is this layer's output; of a stack of recurrent layers only the last has one."""

    def record(self, index: int) -> Layer:
        """As the store knows it; the shape is that of the first weight."""
        return Layer(
            index=index,
            name=self.name,
            type=_type_name(self.module),
            shape=tuple(self.weights[0].shape),
            n_weights=sum(w.numel() for w in self.weights),
            trainable=any(w.requires_grad for w in self.weights),
        )


def _type_name(module: nn.Module) -> str:
    """The name of a module's class; `fully_shard` puts a class of its own making before it."""
    kinds = type(module).__mro__
    return kinds[2].__name__ if kinds[1].__name__ == "FSDPModule" else kinds[0].__name__


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside the wrappers of torch.compile, DataParallel and DistributedDataParallel."""
    while True:
        inner = model.module if isinstance(model, _WRAPPERS) else getattr(model, "_orig_mod", None)
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def find_layers(model: nn.Module, choice: Choice = None) -> list[Watched]:
    """Every module that owns a weight of at least two dimensions, in order of registration.

    The one-dimensional weights of normalisation layers make no layer. A module that several parents share is one
    layer, under its first name; two modules with one tied weight are two layers.

    Raises:
        RecorderError: the model has no layer, or none is chosen; the message lists what there is.
    """
    found = [layer for name, module in unwrapped(model).named_modules() for layer in _of_module(name, module)]
    if not found:
        raise RecorderError(
            f"{type(model).__name__} has no layer to watch: no module of it owns a weight of two or more dimensions; "
            "give the network itself to watch()"
        )
    chooses = _predicate(choice)
    chosen = [layer for layer in found if chooses(layer.name, layer.module)]
    if not chosen:
        raise RecorderError(f"layers={choice!r} chooses none of {', '.join(layer.name for layer in found)}")
    return chosen


def _predicate(choice: Choice) -> Callable[[str, nn.Module], bool]:
    if choice is None:
        return lambda name, module: True
    if callable(choice):
        return choice
    try:
        pattern = re.compile(choice)
    except re.error as error:
        raise RecorderError(f"layers={choice!r} is no regular expression ({error}); such as layers='conv'") from error
    return lambda name, module: pattern.search(name) is not None


def _of_module(name: str, module: nn.Module) -> Iterator[Watched]:
    name = name.replace("_orig_mod.", "").removesuffix("._orig_mod") or type(module).__name__
    owned = {n: p for n, p in module.named_parameters(recurse=False) if isinstance(p, Tensor) and p.dim() >= 2}
    named_weight = {n: p for n, p in owned.items() if "weight" in n}
    weights = named_weight or owned
    if isinstance(module, nn.RNNBase) and module.num_layers > 1:
        for level in range(module.num_layers):
            mine = tuple(p for n, p in weights.items() if re.search(rf"_l{level}(_reverse)?$", n))
            yield Watched(name=f"{name}.l{level}", module=module, weights=mine, passes=level == module.num_layers - 1)
    elif weights:
        yield Watched(name=name, module=module, weights=tuple(weights.values()))


class Order:
    """Notes in which order the modules of a network are first used; forgets its hooks when asked for the answer."""

    def __init__(self, model: nn.Module) -> None:
        self._model = unwrapped(model)
        self._first: dict[nn.Module, int] = {}
        self._hooks = Hooks()
        for module in self._model.modules():
            self._hooks.add(module.register_forward_pre_hook(Hook(self, Order._seen)))

    def _seen(self, module: nn.Module, inputs: object) -> None:
        self._first.setdefault(module, len(self._first))

    def sort(self, layers: list[Watched]) -> list[Watched]:
        """By first use. A layer whose weight is used without calling it comes with the module that was called around
        it (the projection of an attention block); what was not used at all comes last.
        """
        parents = {child: parent for parent in self._model.modules() for child in parent.children()}
        return sorted(layers, key=lambda layer: self._use(layer.module, parents))

    def _use(self, module: nn.Module, parents: dict[nn.Module, nn.Module]) -> int:
        never = len(self._first)
        while module not in self._first:
            if module not in parents:
                return never
            module = parents[module]
        return self._first[module] if module is not self._model or not parents else never

    def forget(self) -> None:
        """Take the hooks away."""
        self._hooks.remove()
