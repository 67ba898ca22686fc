"""What a network computes on its way: the outputs of layers by name, and which layers of two networks correspond.

Networks stay as they are: a hook listens during one forward pass and is gone after it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.errors import ConfigError
from gradscope.models.activations import find_activations
from gradscope.models.exit_points import CONTAINERS
from gradscope.models.sizes import Shape

Pair = tuple["Point", "Point"]
"""A layer of the student and one of the teacher."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A module whose output can be looked at."""

    name: str
    """Dotted, in its network."""
    shape: tuple[int, ...]
    """Of the output, without the batch: (C, H, W) or (N,)."""
    depth: float
    """Its place among all such modules of the network in the order of the forward pass, in 0..1."""

    def __str__(self) -> str:
        """As in a message."""
        return f"{self.name} ({'x'.join(map(str, self.shape))})"


@contextmanager
def captured(model: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Inside, each forward pass of the model leaves the outputs of these modules in the dictionary, with their graph.

    Args:
        model: stays as it is.
        names: dotted names of modules that put out a tensor.
    """
    seen: dict[str, Tensor] = {}
    handles = [_listen(model, name, seen) for name in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _listen(model: nn.Module, name: str, seen: dict[str, Tensor]) -> torch.utils.hooks.RemovableHandle:
    def keep(module: nn.Module, inputs: object, output: Tensor) -> None:
        seen[name] = output

    return model.get_submodule(name).register_forward_hook(keep)


def all_points(model: nn.Module, in_shape: Shape) -> list[Point]:
    """Every module that is called once and puts out a map or a vector a picture, in the order in which they are done.

    Args:
        model: on any device; its mode and state are as before afterwards.
        in_shape: channels, height and width of a picture.
    """
    shapes: dict[str, list[tuple[int, ...]]] = {}
    names = {module: name for name, module in model.named_modules() if name}

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() in {2, 4} and len(output) == 2:
            shapes.setdefault(names[module], []).append(tuple(output.shape[1:]))

    handles = [module.register_forward_hook(note) for module in names]
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            model(torch.zeros(2, *in_shape, device=next(model.parameters()).device))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
    once = [(name, found[0]) for name, found in shapes.items() if len(found) == 1]
    return [Point(name=n, shape=s, depth=i / max(1, len(once) - 1)) for i, (n, s) in enumerate(once)]


def stage_ends(model: nn.Module, points: Sequence[Point]) -> list[Point]:
    """The last layer of every size of map before the output, as the outermost module that puts it out.

    A ResNet's stages; of a network without maps, its hidden layers. What is inside of a block does not count, because
    the first layers of a block that halves the map still put out the larger one; nor does a size that no layer with
    weights puts out, such as the mean before the output layer.

    Args:
        model: the network.
        points: all of it.
    """
    path = dict(_main_path(model))
    maps = [p for p in points if len(p.shape) == 3 and p.name in path]
    weighted = {p.shape[1:] for p in maps if any(True for _ in path[p.name].parameters())}
    maps = [p for p in maps if p.shape[1:] in weighted]
    if not maps:
        children = [p for p in points if p.name.count(".") == 1]  # of a list of blocks
        return children or list(points)[:-1]
    sizes = dict.fromkeys(p.shape[1:] for p in maps)
    last = [[p for p in maps if p.shape[1:] == size][-1] for size in sizes]
    # a container that holds several stages puts out what its last one does: name that one
    return [_within(p, maps) for p in last]


def _main_path(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Names and modules that follow each other; of lists of modules and of wrappers also those within."""
    children = list(module.named_children())
    for name, child in children:
        yield f"{prefix}{name}", child
        if type(child) in CONTAINERS or (type(module) not in CONTAINERS and len(children) == 1):
            yield from _main_path(child, f"{prefix}{name}.")


def _within(point: Point, maps: Sequence[Point]) -> Point:
    """Of a container that holds maps of several sizes, its last child; else the module itself."""
    inside = [p for p in maps if p.name.startswith(f"{point.name}.")]
    if len({p.shape[1:] for p in inside}) <= 1:
        return point
    level = point.name.count(".") + 1
    return next((p for p in reversed(inside) if p.name.count(".") == level), point)


def stem(model: nn.Module, points: Sequence[Point]) -> Point:
    """The first activation's output; of a network without one, the first layer's."""
    activations = {name for name, _ in find_activations(model)}
    return next((p for p in points if p.name in activations), points[0])


def evenly(points: Sequence[Point], n: int) -> list[Point]:
    """N of the points, as evenly spaced as can be, the last one among them."""
    return [points[-(-(i + 1) * len(points) // n) - 1] for i in range(n)]


def corresponding(student: Sequence[Point], teacher: Sequence[Point]) -> list[Pair]:
    """Pairs in order; of the network with more of them, those at the same relative depth."""
    n = min(len(student), len(teacher))
    return list(zip(evenly(student, n), evenly(teacher, n), strict=True))


Misfit = Callable[[Point, Point], str | None]
"""Why a layer of the student cannot be compared with one of the teacher; None if it can."""


def checked(method: str, pairs: Sequence[Pair], misfit: Misfit, teacher: Sequence[Point]) -> None:
    """Nothing, if every pair fits.

    Raises:
        ConfigError: one does not; names the reason and the nearest layer of the teacher that would.
    """
    for mine, theirs in pairs:
        reason = misfit(mine, theirs)
        if reason is not None:
            fitting = [p for p in teacher if misfit(mine, p) is None]
            nearest = min(fitting, key=lambda p: abs(p.depth - theirs.depth), default=None)
            way_out = (
                f"the nearest layer of the teacher that fits is {nearest}: set methods.{method}.layers to "
                f"{mine.name}:{nearest.name}"
                if nearest
                else f"no layer of the teacher fits: {_needed(theirs)}"
            )
            raise ConfigError(
                f"method {method} cannot compare the student's layer {mine} with the teacher's {theirs}: "
                f"{reason}; {way_out}"
            )


def _needed(theirs: Point) -> str:
    return f"choose another method, or a student whose layer has the teacher's {theirs.shape[0]} channels there"


def named_pairs(
    method: str, names: Sequence[tuple[str, str]], student: Sequence[Point], teacher: Sequence[Point]
) -> list[Pair]:
    """The pairs of these names; ConfigError where a network has no such layer."""
    sides = ("student", student), ("teacher", teacher)
    known: list[Mapping[str, Point]] = [{p.name: p for p in points} for _, points in sides]
    for pair in names:
        for name, (side, _), points in zip(pair, sides, known, strict=True):
            if name not in points:
                raise ConfigError(
                    f"methods.{method}.layers names {name!r}, and the {side} has no such layer; "
                    f"it has {', '.join(list(points)[:12])}, ..."
                )
    return [(known[0][mine], known[1][theirs]) for mine, theirs in names]


def chosen_pairs(
    method: str,
    names: Sequence[tuple[str, str]],
    networks: tuple[nn.Module, nn.Module],
    in_shape: Shape,
    default: Callable[[list[Pair]], list[Pair]] = list,
    misfit: Misfit = lambda mine, theirs: None,
) -> list[Pair]:
    """The named pairs, or what the method makes of the stages' ends; all of them fit.

    Args:
        method: its name.
        names: student's and teacher's layers that the settings name; none for the default.
        networks: student and teacher.
        in_shape: of a picture.
        default: from the pairs of the stages' ends to those that are compared.
        misfit: why a pair cannot be compared.

    Raises:
        ConfigError: a layer that is not there, or a pair that does not fit.
    """
    mine, theirs = (all_points(net, in_shape) for net in networks)
    if names:
        pairs = named_pairs(method, names, mine, theirs)
    else:
        pairs = default(corresponding(stage_ends(networks[0], mine), stage_ends(networks[1], theirs)))
    checked(method, pairs, misfit, theirs)
    return pairs


def pixels_misfit(mine: Point, theirs: Point) -> str | None:
    """Of methods that look at where in the picture a layer is active: both need more than one pixel."""
    flat = [side for side, p in (("student", mine), ("teacher", theirs)) if len(p.shape) < 3 or p.shape[1:] == (1, 1)]
    return f"the {' and the '.join(flat)}'s has no pixels to look at" if flat else None


def with_pixels(pairs: list[Pair]) -> list[Pair]:
    """Those of the pairs in which there are pixels to look at; all of them, to be refused, where there are none."""
    return [pair for pair in pairs if pixels_misfit(*pair) is None] or pairs


def as_map(features: Tensor) -> Tensor:
    """[B, C, H, W] as it is; a vector [B, N] as N channels of one pixel, [B, N, 1, 1]."""
    return features[:, :, None, None] if features.dim() == 2 else features


def same_size(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both maps [B, C, H, W] at the smaller height and width of the two, by average pooling."""
    size = min(a.shape[2], b.shape[2]), min(a.shape[3], b.shape[3])
    return functional.adaptive_avg_pool2d(a, size), functional.adaptive_avg_pool2d(b, size)
