"""The places where a method may touch a run.

    model = build_model(...)
    for method in methods: model = method.adapt(model, generator)
    objective = objective_of(methods)
    for method in methods: method.at_epoch(epoch, epochs)
    for images, labels in batches:
        loss, logits = objective(model, images, labels)
        loss.backward()
        for method in methods: method.before_step(model)
        optimizer.step()

Methods compose: the loop calls them in the order in which `build_methods` returns them.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.errors import ConfigError

Objective = Callable[[nn.Module, Tensor, Tensor], tuple[Tensor, Tensor]]
"""(model, images [B, C, H, W], labels [B]) to (loss in nats, a scalar; logits [B, K])."""


def cross_entropy(model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The objective of ordinary training: mean cross entropy in nats, and the logits [B, K]."""
    logits: Tensor = model(images)
    return functional.cross_entropy(logits, labels), logits


class Method:
    """A method that changes nothing; the others override the places they need."""

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """The model to train, before the optimiser sees it; may change the given one in place.

        Args:
            model: As `build_model` or the methods before left it.
            generator: The source of all random numbers the method needs.

        Raises:
            ConfigError: The method cannot be applied to this model.
        """
        return model

    def at_epoch(self, epoch: int, epochs: int) -> None:
        """An epoch begins, counted from 0, out of so many; a resumed run begins its first one anew."""

    def objective(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Loss in nats (a scalar) and logits [B, K] of a batch; it owns the forward pass."""
        return cross_entropy(model, images, labels)

    def before_step(self, model: nn.Module) -> None:
        """Change the gradients in place, between the backward pass and the optimiser's step."""


def objective_of(methods: Sequence[Method]) -> Objective:
    """The objective of the method that has its own, else cross entropy; ConfigError when two methods have one."""
    own = [m for m in methods if type(m).objective is not Method.objective]
    if len(own) > 1:
        names = " and ".join(type(m).__name__ for m in own)
        raise ConfigError(f"methods {names} each bring their own loss; keep one of them")
    return own[0].objective if own else cross_entropy
