"""What an answer of an elastic network may cost, and when it is good enough."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from gradscope.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ExitCost:
    """What it takes to answer at an exit, for one picture."""

    macs: int
    """Multiply-accumulates of convolutions and dense layers from the input to this exit, without earlier heads."""
    macs_asking: int
    """The same with every earlier head, as when each exit is asked whether it is sure."""
    parameters: int
    """Of the layers from the input to this exit, without earlier heads."""


class Known(Protocol):
    """An elastic network whose exits' costs are known: `gradscope.models.early_exit.Pieces`."""

    @property
    def costs(self) -> Sequence[ExitCost]:
        """Of every exit."""

    def latencies(self, images: Tensor) -> Sequence[float]:
        """Milliseconds until all of the images have the answer of each exit."""


class Leaving(Protocol):
    """When a picture leaves."""

    @property
    def first(self) -> int:
        """The first exit, from 0, that is asked; the heads before it are not computed."""

    def leaves(self, logits: Tensor) -> Tensor:
        """Which pictures are content with the logits [B, K] of an exit: bool [B]. At the last all leave."""


class Budget(Protocol):
    """What an answer may cost, or when it is good enough."""

    def leaving(self, network: Known, images: Tensor) -> Leaving:
        """The rule for these images; ConfigError where not even the first exit is cheap enough."""


@dataclass(frozen=True)
class At:
    """Leave at one exit, whatever the picture."""

    exit: int
    """From 0."""

    @property
    def first(self) -> int:
        """That exit."""
        return self.exit

    def leaves(self, logits: Tensor) -> Tensor:
        """All."""
        return torch.ones(len(logits), dtype=torch.bool, device=logits.device)

    def leaving(self, network: Known, images: Tensor) -> Leaving:
        """Itself."""
        return self


@dataclass(frozen=True)
class Entropy:
    """Leave where the entropy of the predicted distribution is at most so many nats (0 .. ln K)."""

    at_most: float
    first: int = 0

    def leaves(self, logits: Tensor) -> Tensor:
        """Where the entropy is low enough."""
        return entropy(logits) <= self.at_most

    def leaving(self, network: Known, images: Tensor) -> Leaving:
        """Itself."""
        return self


@dataclass(frozen=True)
class Confidence:
    """Leave where the largest predicted probability is at least so much (1/K .. 1)."""

    at_least: float
    first: int = 0

    def leaves(self, logits: Tensor) -> Tensor:
        """Where the probability is high enough."""
        return logits.float().softmax(1).amax(1) >= self.at_least

    def leaving(self, network: Known, images: Tensor) -> Leaving:
        """Itself."""
        return self


@dataclass(frozen=True)
class Macs:
    """The deepest exit of at most so many multiply-accumulates a picture."""

    at_most: float

    def leaving(self, network: Known, images: Tensor) -> Leaving:
        """At that exit."""
        return _deepest([cost.macs for cost in network.costs], self.at_most, "multiply-accumulates")


@dataclass(frozen=True)
class Parameters:
    """The deepest exit of at most so many parameters."""

    at_most: float

    def leaving(self, network: Known, images: Tensor) -> Leaving:
        """At that exit."""
        return _deepest([cost.parameters for cost in network.costs], self.at_most, "parameters")


@dataclass(frozen=True)
class Milliseconds:
    """The deepest exit that answers these images within so many milliseconds, as measured on their device."""

    at_most: float

    def leaving(self, network: Known, images: Tensor) -> Leaving:
        """At that exit; measured at the first call for a shape of images, and remembered."""
        return _deepest(network.latencies(images), self.at_most, "milliseconds")


def _deepest(costs: Sequence[float], at_most: float, unit: str) -> At:
    within = [i for i, cost in enumerate(costs) if cost <= at_most]
    if not within:
        raise ConfigError(f"the budget of {at_most:g} {unit} is below the {min(costs):g} of the first exit; raise it")
    return At(max(within))


def entropy(logits: Tensor) -> Tensor:
    """Entropy in nats of the distributions that logits [..., K] stand for: [...]."""
    logs = functional.log_softmax(logits.float(), dim=-1)
    return -(logs.exp() * logs).sum(-1)
