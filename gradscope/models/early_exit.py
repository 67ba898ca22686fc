"""Answering with a part of an elastic network: for a budget known beforehand, or as soon as a picture is easy enough.

The backbone is traced once (torch.fx) and cut behind the modules that have exits. A pass then runs piece by piece; the
pictures that left take no part in the pieces that follow.
"""

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, fx, nn

from gradscope.errors import ConfigError
from gradscope.models.budgets import At, Budget, ExitCost, Leaving
from gradscope.models.costs import Counted, counting
from gradscope.models.elastic import ElasticNetwork


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Answers of an elastic network, perhaps of different exits."""

    logits: Tensor
    """[B, K]."""
    exits: Tensor
    """Where each picture left, from 0: int64 [B]."""


def predict(network: ElasticNetwork, images: Tensor, budget: Budget) -> Prediction:
    """Answer within a budget; what lies behind the exit that a picture leaves by is not computed for it.

    Args:
        network: in eval mode, on the images' device.
        images: [B, C, H, W], as the network was trained on.
        budget: Macs, Parameters, Milliseconds, Entropy, Confidence or At.

    Raises:
        ConfigError: the budget is too small for any exit, or the network cannot be cut into pieces.
    """
    return Pieces(network).predict(images, budget)


class Pieces:
    """An elastic network cut behind its exits; make it once where many batches are answered."""

    def __init__(self, network: ElasticNetwork) -> None:
        self.network = network
        self._graph = _traced(network)
        self._cuts = _cut(self._graph.graph, network.points)
        self._interpreter = fx.Interpreter(self._graph)
        self._dead = _last_uses(self._graph.graph)
        self._latencies: dict[tuple[torch.Size, torch.device], list[float]] = {}

    def predict(self, images: Tensor, budget: Budget) -> Prediction:
        """See `predict`."""
        with torch.no_grad():
            return self._answer(images, budget.leaving(self, images))

    def _answer(self, images: Tensor, rule: Leaving) -> Prediction:
        places = torch.arange(len(images), device=images.device)
        exits = torch.zeros_like(places)
        answers: list[tuple[Tensor, Tensor]] = []
        running = _Running(self, images)
        for exit_ in range(self.network.n_exits):
            features = running.to_exit(exit_)
            last = exit_ == self.network.n_exits - 1
            if exit_ < rule.first and not last:
                continue
            logits = features if last else self.network.heads[exit_](features)
            done = torch.ones_like(places, dtype=torch.bool) if last else rule.leaves(logits)
            exits[places[done]] = exit_
            answers.append((places[done], logits[done]))
            if bool(done.all()):
                break
            if bool(done.any()):
                places = places[~done]
                running.keep(~done)
        return Prediction(logits=_in_order(answers), exits=exits)

    @cached_property
    def costs(self) -> tuple[ExitCost, ...]:
        """Of every exit; counted in one pass of an empty picture."""
        network = self.network
        parameter = next(network.parameters())
        image = torch.zeros(1, *network.in_shape, device=parameter.device, dtype=parameter.dtype)
        trunk, heads = [], []
        with counting(network) as counted, torch.no_grad():
            running = _Running(self, image)
            for exit_ in range(network.n_exits):
                features = running.to_exit(exit_)
                trunk.append(counted())
                if exit_ < network.n_exits - 1:
                    network.heads[exit_](features)
                heads.append(counted())
        return tuple(_cost(trunk, heads, exit_) for exit_ in range(network.n_exits))

    def latencies(self, images: Tensor, repeats: int = 5) -> list[float]:
        """Milliseconds until all of the images have the answer of each exit, the median of some passes."""
        key = images.shape, images.device
        if key not in self._latencies:
            self._latencies[key] = [
                statistics.median(self._milliseconds(images, At(exit_)) for _ in range(repeats))
                for exit_ in range(self.network.n_exits)
            ]
        return self._latencies[key]

    def _milliseconds(self, images: Tensor, rule: Leaving) -> float:
        began = time.perf_counter()
        with torch.no_grad():
            answers = self._answer(images, rule)
        float(answers.logits[0, 0])  # a GPU has then done it all
        return 1000 * (time.perf_counter() - began)


class _Running:
    """A pass in progress."""

    def __init__(self, pieces: Pieces, images: Tensor) -> None:
        self._pieces = pieces
        self._images = images
        self._values: dict[fx.Node, Any] = {}  # Any: whatever a node of the graph computes

    def to_exit(self, exit_: int) -> Tensor:
        """Run the piece that ends at that exit; what the module before it put out, or the logits at the last."""
        pieces = self._pieces
        interpreter = pieces._interpreter
        value: Any = None  # Any: as above
        for node in pieces._cuts[exit_]:
            if node.op == "placeholder":
                value = self._images
            else:
                interpreter.env = self._values
                value = interpreter.run_node(node)
            self._values[node] = value
            for dead in pieces._dead.get(node, ()):
                del self._values[dead]
        found: Tensor = value
        return found

    def keep(self, which: Tensor) -> None:
        """Go on with these pictures only: bool [B]."""
        for node, value in self._values.items():
            if node.op == "get_attr":
                continue
            if not isinstance(value, Tensor):
                raise ConfigError(
                    f"a batch cannot leave in parts where {node} of the network is a {type(value).__name__}"
                )
            self._values[node] = value[which]


class _Tracer(fx.Tracer):
    """Looks into those modules only that have an exit within them; all others stay as they are, with their hooks."""

    def __init__(self, points: Sequence[str]) -> None:
        super().__init__()
        self._points = points

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is run as a whole."""
        return not any(point.startswith(f"{module_qualified_name}.") for point in self._points)


def _traced(network: ElasticNetwork) -> fx.GraphModule:
    training = network.backbone.training
    try:
        graph = _Tracer(network.points).trace(network.backbone.train(False))
    except (fx.proxy.TraceError, TypeError) as error:
        raise ConfigError(
            f"{type(network.backbone).__name__} cannot be cut behind its exits: {error}; ask for all exits instead"
        ) from error
    finally:
        network.backbone.train(training)
    return fx.GraphModule(network.backbone, graph)


def _cut(graph: fx.Graph, points: Sequence[str]) -> list[list[fx.Node]]:
    """The nodes that each exit adds to those before it."""
    nodes = [node for node in graph.nodes if node.op != "output"]
    at = {node.target: i + 1 for i, node in enumerate(nodes) if node.op == "call_module"}
    ends = [at.get(point, 0) for point in points] + [len(nodes)]
    if sorted(ends) != ends or not all(ends):
        raise ConfigError(
            f"a pass cannot stop behind each of {', '.join(points)}: one lies within another, or out of order; attach "
            "exits behind modules that follow each other"
        )
    return [nodes[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]


def _last_uses(graph: fx.Graph) -> Mapping[fx.Node, list[fx.Node]]:
    """After which node others are needed no more."""
    order = {node: i for i, node in enumerate(graph.nodes)}
    found: dict[fx.Node, list[fx.Node]] = {}
    for node in graph.nodes:
        last = max(node.users, key=order.__getitem__, default=node)
        if last.op != "output":
            found.setdefault(last, []).append(node)
    return found


def _in_order(answers: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    places = torch.cat([place for place, _ in answers])
    logits = torch.cat([part for _, part in answers])
    return torch.empty_like(logits).index_copy_(0, places, logits)


def _cost(trunk: Sequence[Counted], heads: Sequence[Counted], exit_: int) -> ExitCost:
    """From what was counted before and after each head, one after the other in one pass."""
    pairs = zip(trunk, heads, strict=True)
    earlier = [(after.macs - before.macs, after.parameters - before.parameters) for before, after in pairs]
    macs, parameters = (sum(part) for part in zip((0, 0), *earlier[:exit_], strict=True))
    here = heads[exit_]
    return ExitCost(macs=here.macs - macs, macs_asking=here.macs, parameters=here.parameters - parameters)
