"""The places where a method may touch a run.

    model = build_model(...)
    for method in methods: method.beside(the others)
    for method in methods: model = method.adapt(model, generator)
    for method in methods: method.prepare(Given(model=model, data=data, ...))
    objective = objective_of(methods)
    for method in methods: method.at_epoch(model, epoch, epochs)
    for batch in minibatches:                  (each as often as a method's `turns` say)
        for method in methods: method.before_pass(model, batch)
        judged = objective(model, batch)
        judged.loss.backward()
        for method in methods: method.before_step(model)
        optimizer.step()
    for method in methods: method.measured(model, validation, ...)

The optimiser has the model's parameters and each method's `parameter_groups()`; a checkpoint keeps each method's
`state_dict()` beside the model's, so that the model's weights load into a plain network without the method.

Methods compose: the loop calls them in the order in which `build_methods` returns them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.errors import ConfigError

if TYPE_CHECKING:
    from gradscope.config import Distillation, RunConfig
    from gradscope.data import Dataset, MiniBatch, Split, Transform
    from gradscope.labelling import Labelling

LABEL = "label"
"""The term of the loss that compares with the labels."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What an objective says of a batch."""

    logits: Tensor
    """[B, K]: the network's answer, of which the training accuracy is counted."""
    terms: Mapping[str, Tensor]
    """What the loss is made of: named scalars in nats, already weighted; at least one. Where there are several, each
    becomes a metric `loss/<name>`, and on recorded steps the gradient is split into theirs."""

    @property
    def loss(self) -> Tensor:
        """The sum of the terms."""
        first, *others = self.terms.values()
        return sum(others, first)


Objective = Callable[[nn.Module, "MiniBatch"], Judged]
"""(model, batch) to logits and terms of the loss."""


def cross_entropy(model: nn.Module, batch: "MiniBatch") -> Judged:
    """The objective of ordinary training: mean cross entropy in nats as the only term."""
    logits: Tensor = model(batch.images)
    return Judged(logits=logits, terms={LABEL: functional.cross_entropy(logits, batch.labels)})


def plain_objective(labelling: "Labelling") -> Objective:
    """The objective of ordinary training on pictures that are labelled so."""

    def labelled(model: nn.Module, batch: "MiniBatch") -> Judged:
        logits: Tensor = model(batch.images)
        return Judged(logits=logits, terms={LABEL: labelling.loss(logits, batch.labels)})

    return labelled


@dataclass(frozen=True, kw_only=True)
class Given:
    """What a run gives to its methods before the training begins."""

    model: nn.Module
    """As it is going to be trained, on its device."""
    config: "RunConfig"
    data: "Dataset"
    """On the device."""
    normalise: "Transform"
    """uint8 images to what the model is trained on."""
    device: torch.device
    generator: torch.Generator
    """On the CPU; the source of all random numbers of the method's own networks and draws."""
    teacher: Callable[["Distillation"], nn.Module]
    """The network that a distillation names as its teacher: trained, on the device, in eval mode, without gradients."""
    rate: Callable[[], float]
    """The learning rate of the step in progress."""
    tell: Callable[[str], None]
    """Says what takes time, in a few words."""


class Method:
    """A method that changes nothing; the others override the places they need."""

    turns: int = 1
    """Steps that are taken on each batch; `MiniBatch.turn` says which one it is. Known after `adapt`."""

    @property
    def judges_hidden(self) -> bool:
        """Whether its objective judges outputs of hidden layers too: it sends errors into the midst of the network."""
        return False

    def beside(self, others: Sequence["Method"]) -> None:
        """Hear which other methods the run has; comes first."""

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """The model to train, before the optimiser sees it; may change the given one in place.

        Whoever loads the trained network calls this too, and nothing else: what only the training needs is made in
        `prepare`.

        Args:
            model: As `build_model` or the methods before left it.
            generator: The source of all random numbers the method needs.

        Raises:
            ConfigError: The method cannot be applied to this model.
        """
        return model

    def prepare(self, given: Given) -> None:
        """Make what only the training needs: a teacher, regressors, optimisers of the method's own.

        Raises:
            ConfigError: The method cannot be applied to this model, teacher or data.
        """

    def parameter_groups(self) -> Sequence[dict[str, Any]]:  # Any: as torch.optim takes them
        """Parameters of the method's own that the run's optimiser trains beside the model's, at the same rate.

        Each group may have options of its own, such as `{"params": [threshold], "weight_decay": 0.0}`.
        """
        return ()

    def at_epoch(self, model: nn.Module, epoch: int, epochs: int) -> str | None:
        """An epoch begins, counted from 0, out of so many; a resumed run begins its first one anew.

        Here a training in stages freezes and thaws (`model.stages.requires_grad_(False)`): what has no gradient is not
        moved by the optimiser. All must follow from `epoch` and `epochs`, because a resumed run starts in the midst.

        Returns:
            What this stage of the training is called; None if there are none.
        """
        return None

    def before_pass(self, model: nn.Module, batch: "MiniBatch") -> None:
        """Take steps of optimisers of the method's own, before the objective is asked; leave the model as it is."""

    def objective(self, model: nn.Module, batch: "MiniBatch") -> Judged:
        """Logits [B, K] and terms of the loss of a batch; it owns the forward pass."""
        return cross_entropy(model, batch)

    def before_step(self, model: nn.Module) -> None:
        """Change the gradients in place, between the backward pass and the optimiser's step."""

    def measured(self, model: nn.Module, split: "Split", transform: "Transform") -> Mapping[str, float]:
        """Further figures of a split, each by a name such as `exit_2_accuracy`.

        They are logged behind `val_` after each epoch and behind `test_` at the end.

        Args:
            model: as it is trained; its train or eval mode is to be as before afterwards.
            split: of the validation or the test, on the model's device.
            transform: uint8 images to what the model is trained on.
        """
        return {}

    def state_dict(self) -> Mapping[str, Any]:  # Any: tensors, numbers, text and containers of them
        """What a checkpoint has to keep of the method, so that a resumed run goes on as if it had not stopped."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # Any: as above
        """Back to what `state_dict` said; comes after `prepare`."""


def objective_of(methods: Sequence[Method], plain: Objective = cross_entropy) -> Objective:
    """The objective of the method that has its own, else the plain one; ConfigError when two methods have one."""
    own = [m for m in methods if type(m).objective is not Method.objective]
    if len(own) > 1:
        names = " and ".join(type(m).__name__ for m in own)
        raise ConfigError(f"methods {names} each bring their own loss; keep one of them")
    return own[0].objective if own else plain
