"""The activations: one module of its own for each place, never shared and never in place.

Attribution methods and the recorder hook these modules, and methods replace them one by one.
"""

from collections.abc import Callable, Iterator, Mapping

from torch import nn

from gradscope.config import Activation

ACTIVATIONS: Mapping[Activation, Callable[[], nn.Module]] = {
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "selu": nn.SELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "identity": nn.Identity,
}


def make_activation(name: Activation) -> nn.Module:
    """A new module that computes the activation of that name, element by element."""
    return ACTIVATIONS[name]()


def find_activations(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Dotted name and module of every non-linear activation of a model, in the order in which its modules are listed.

    GradScope's own models list their modules in forward order; a foreign model may not.
    """
    known = {made for made in ACTIVATIONS.values() if made is not nn.Identity}
    return ((name, module) for name, module in model.named_modules() if type(module) in known)


def weight_layers(model: nn.Module) -> list[nn.Module]:
    """Every Linear and Conv2d of a model, in the order in which its modules are listed; the last is the output layer.

    GradScope's own models list their modules in forward order; a foreign model may not.
    """
    return [module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d)]


def layer_before(model: nn.Module, activation: str) -> nn.Module | None:
    """The Linear or Conv2d listed last before the activation of that dotted name; None where there is none."""
    found: nn.Module | None = None
    for name, module in model.named_modules():
        if name == activation:
            break
        found = module if isinstance(module, nn.Linear | nn.Conv2d) else found
    return found
