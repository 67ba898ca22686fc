"""Where exits can attach in a network: the places of the elastic paper, and rules for any other network.

Source: Zhou, Bai, Bhattacharyya & Huttunen 2018, "Elastic Neural Networks for Classification" (arXiv 1810.00589), and
the first author's code; each exit sits behind the named module.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from gradscope.errors import ConfigError
from gradscope.models.sizes import Shape

Shapes = Mapping[str, tuple[int, ...]]
"""Of what every module that is called once puts out, without the batch, by name."""

CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)
"""What holds modules that follow each other and does nothing by itself."""


def exit_points(model: nn.Module, in_shape: Shape, where: str, every: int = 1) -> list[str]:
    """Names of the modules behind which exits attach, from the input; never behind the last, where the network's own
    output is.

    Args:
        model: any network.
        in_shape: of a picture.
        where: `paper` (the elastic paper's places in its networks, of others every block), `blocks` (behind every
            composite module), `stages` (behind the last block or layer of every size of map), `five` (the stages'
            ends and one within the last: the paper's ResNet-50-5, as we read it), or names with commas between.
        every: of the places so found every n-th, counted from the input.

    Raises:
        ConfigError: the network has no such module.
    """
    find = _RULES.get(where)
    if find is None:
        return _named(model, [name.strip() for name in where.split(",")])
    found = find(model, output_shapes(model, in_shape))[every - 1 :: every]
    if not found:
        raise ConfigError(
            f"{type(model).__name__} has no place for an exit by the rule {where}, every {every}; name modules "
            f"instead, such as {', '.join([name for name, _ in model.named_children()][:3])}"
        )
    return found


def _named(model: nn.Module, names: Sequence[str]) -> list[str]:
    known = [name for name, _ in model.named_modules() if name]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"exits={','.join(names)!r}: {type(model).__name__} has no module {name!r}; use {', '.join(_RULES)} or "
                f"names such as {', '.join(known[:4])}"
            )
    return [name for name in known if name in names]


def output_shapes(model: nn.Module, in_shape: Shape) -> dict[str, tuple[int, ...]]:
    """Shapes of what every module puts out that is called once, without the batch, in the order of the calls."""
    shapes: dict[str, list[tuple[int, ...]]] = {}

    def note(name: str) -> Callable[[nn.Module, object, object], None]:
        def hook(module: nn.Module, inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                shapes.setdefault(name, []).append(tuple(output.shape[1:]))

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    modes = [(module, module.training) for module in model.modules()]
    parameter = next(model.parameters())
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *in_shape, device=parameter.device, dtype=parameter.dtype))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    return {name: found[0] for name, found in shapes.items() if len(found) == 1}


def blocks(model: nn.Module) -> Iterator[str]:
    """Names of the outermost modules that are made of several; lists of modules and wrappers are looked into."""
    children = list(model.named_children())
    is_wrapper = len(children) == 1 and type(model) not in CONTAINERS
    for name, module in children:
        if type(module) in CONTAINERS or is_wrapper:
            yield from (f"{name}.{inner}" for inner in blocks(module))
        elif any(True for _ in module.children()) and any(True for _ in module.parameters()):
            yield name


def _blocks(model: nn.Module, shapes: Shapes) -> list[str]:
    return [name for name in blocks(model) if name in shapes][:-1]


def _stages(model: nn.Module, shapes: Shapes) -> list[str]:
    """The last block, or layer where there are no blocks, of each size of map but the last size."""
    places = _with_maps(model, shapes)
    sides = [shapes[name][1:] for name in places]
    return [name for i, name in enumerate(places[:-1]) if sides[i] != sides[i + 1]]


def _with_maps(model: nn.Module, shapes: Shapes) -> list[str]:
    found = [name for name in blocks(model) if name in shapes]
    layers = [
        name for name, module in model.named_modules() if name in shapes and not any(True for _ in module.children())
    ]
    return [name for name in found or layers if len(shapes[name]) == 3]


def _five(model: nn.Module, shapes: Shapes) -> list[str]:
    """The ends of the three stages before the last, and in the last the block before its last: five outputs in all."""
    ends, places = _stages(model, shapes)[-3:], _with_maps(model, shapes)
    within = places[places.index(ends[-1]) + 1 : -1] if ends else []
    return [*ends, *within[-1:]]


def _transitions(model: nn.Module, shapes: Shapes) -> list[str]:
    return [name for name in shapes if name.rpartition(".")[2].startswith("transition")]


def _inception(model: nn.Module, shapes: Shapes) -> list[str]:
    """Nine of the mixed blocks and the one that has the network's own auxiliary head; not the last."""
    return [name for name in blocks(model) if name.rpartition(".")[2].startswith("Mixed_")][:-1]


def _poolings(model: nn.Module, shapes: Shapes) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, nn.MaxPool2d)][:-1]


def _paper(model: nn.Module, shapes: Shapes) -> list[str]:
    own = next((_PAPER[kind] for m in model.modules() if (kind := type(m).__name__) in _PAPER), _blocks)
    return own(model, shapes)


_Rule = Callable[[nn.Module, Shapes], list[str]]
_RULES: Mapping[str, _Rule] = {"paper": _paper, "blocks": _blocks, "stages": _stages, "five": _five}
_PAPER: Mapping[str, _Rule] = {"DenseNet": _transitions, "Inception3": _inception, "VGG": _poolings}
"""By the class of the network; in residual networks, MobileNet and SqueezeNet exits sit behind every block."""


def own_heads(points: Sequence[str], shapes: Shapes, n_classes: int) -> dict[str, nn.Module]:
    """Heads that a network has already for some exits: Inception-V3's auxiliary one, where the map is large enough.

    Its 5x5 convolution of a 5x5 mean with stride 3 needs a map of 17x17, that is pictures of 299x299.
    """
    found: dict[str, nn.Module] = {}
    for name in points:
        if name.rpartition(".")[2] == "Mixed_6e" and min(shapes[name][1:]) >= _AUXILIARY_SIDE:
            from torchvision.models.inception import InceptionAux

            found[name] = InceptionAux(shapes[name][0], n_classes)
    return found


_AUXILIARY_SIDE = 17
