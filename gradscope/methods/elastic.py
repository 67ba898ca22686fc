"""Training an elastic network: all exits' losses added up (Zhou et al. 2018, arXiv 1810.00589).

L = sum_i w_i L_i over the E exits. The paper's L_i has a factor 1/K, which cross entropy as everybody computes it, and
the authors' code, leave out: the same optimum at another learning rate. Stated: all w_i are 1; the head of every exit,
the last included, is mean, dropout, dense layer; with pretrained weights the heads are trained first, by themselves.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Elastic
from gradscope.data import MiniBatch, Split, Transform
from gradscope.errors import ConfigError
from gradscope.methods.base import Given, Judged, Method
from gradscope.methods.exit_scores import exit_logits, exit_scores
from gradscope.models.activations import weight_layers
from gradscope.models.build import IN_SHAPE
from gradscope.models.elastic import ElasticNetwork
from gradscope.models.exit_points import exit_points, output_shapes, own_heads

FIRST_WEIGHT = 0.01
"""Of early exits with scheduled weights, when the training begins (Kaya et al. 2019)."""


def equal_weights(n_exits: int, progress: float) -> list[float]:
    """All 1."""
    return [1.0] * n_exits


def linear_weights(n_exits: int, progress: float) -> list[float]:
    """w_i = i / E, i from 1: 1 for the last."""
    return [(i + 1) / n_exits for i in range(n_exits)]


def scheduled_weights(n_exits: int, progress: float) -> list[float]:
    """From 0.01 for all but the last in a straight line to the linear ones.

    Kaya, Hong & Dumitras 2019, "Shallow-Deep Networks", section 4.2; there the ends are shares of the computation, here
    of the exits.

    Args:
        n_exits: E.
        progress: share in 0..1 of the training that is done.
    """
    ends = linear_weights(n_exits, progress)
    return [*(FIRST_WEIGHT + progress * (end - FIRST_WEIGHT) for end in ends[:-1]), 1.0]


Weights = Callable[[int, float], list[float]]
"""(E, share in 0..1 of the training done) to the weight of each exit's loss."""
WEIGHTS: Mapping[str, Weights] = {
    "equal": equal_weights,
    "linear": linear_weights,
    "learned": equal_weights,
    "scheduled": scheduled_weights,
}


def exit_losses(logits: Sequence[Tensor], labels: Tensor, distillation: float, temperature: float) -> list[Tensor]:
    """Loss in nats of an exit: (1 - a) CE(z_i, y) + a T^2 KL(softmax(z_E / T) | softmax(z_i / T)); of the last a = 0.

    Zhang et al. 2019, "Be Your Own Teacher", equation 5, without its hint of features; the last exit is not changed by
    what the others learn of it.

    Args:
        logits: E of [B, K].
        labels: int64 [B].
        distillation: a in 0..1.
        temperature: T.
    """
    labelled = [functional.cross_entropy(exit_, labels) for exit_ in logits]
    if distillation == 0:
        return labelled
    teacher = (logits[-1].detach() / temperature).log_softmax(1)
    distilled = [
        temperature**2
        * functional.kl_div((exit_ / temperature).log_softmax(1), teacher, reduction="batchmean", log_target=True)
        for exit_ in logits[:-1]
    ]
    early = zip(labelled, distilled, strict=False)
    return [*((1 - distillation) * label + distillation * other for label, other in early), labelled[-1]]


class ElasticMethod(Method):
    """Attaches exits, and trains all of them."""

    @property
    def judges_hidden(self) -> bool:
        """At the early exits."""
        return True

    def __init__(self, settings: Elastic) -> None:
        self.settings = settings
        self.weights: list[float] = []
        self.log_variances: nn.Parameter | None = None
        """Of the exits' losses [E], where the weights are learned."""

    def adapt(self, model: nn.Module, generator: torch.Generator) -> nn.Module:
        """The network with exits; ConfigError where it has no place for them."""
        in_shape = getattr(model, IN_SHAPE, None)
        if in_shape is None:
            raise ConfigError(f"method elastic does not know for what pictures {type(model).__name__} was built")
        settings, n_classes = self.settings, int(weight_layers(model)[-1].get_parameter("weight").shape[0])
        points = exit_points(model, in_shape, settings.exits, settings.every)
        seed = int(torch.randint(2**31, (), generator=generator, device="cpu"))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            heads = own_heads(points, output_shapes(model, in_shape), n_classes)
            network = ElasticNetwork(
                model, points, in_shape=in_shape, n_classes=n_classes, dropout=settings.dropout, heads=heads
            )
        drop_before_output(model, settings.dropout)
        self.weights = WEIGHTS[settings.weights](network.n_exits, 0.0)
        self.turns = network.n_exits if settings.updates == "in_turn" else 1
        return network

    def prepare(self, given: Given) -> None:
        """Make the weights that are learned."""
        if self.settings.weights == "learned":
            self.log_variances = nn.Parameter(torch.zeros(len(self.weights), device=given.device))

    def parameter_groups(self) -> Sequence[dict[str, Any]]:  # Any: as torch.optim takes them
        """The learned weights, which do not decay."""
        return () if self.log_variances is None else [{"params": [self.log_variances], "weight_decay": 0.0}]

    def at_epoch(self, model: nn.Module, epoch: int, epochs: int) -> str | None:
        """The weights of this part of the training; freezes the backbone, or thaws it."""
        self.weights = WEIGHTS[self.settings.weights](len(self.weights), epoch / epochs)
        if not self.settings.frozen_epochs:
            return None
        frozen = epoch < self.settings.frozen_epochs
        backbone = elastic(model).backbone
        backbone.requires_grad_(not frozen)
        weight_layers(backbone)[-1].requires_grad_(True)  # its own output is an exit like the others
        backbone.train(not frozen)
        return "heads alone" if frozen else "all layers"

    def objective(self, model: nn.Module, batch: MiniBatch) -> Judged:
        """A term an exit, `exit 1` the one nearest to the input; one of them where they take turns."""
        logits = elastic(model).exits(batch.images)
        losses = exit_losses(logits, batch.labels, self.settings.distillation, self.settings.temperature)
        terms = self._weighted(losses)
        if self.turns > 1:
            name = term_of(batch.turn)
            terms = {name: terms[name]}
        return Judged(logits=logits[-1], terms=terms)

    def _weighted(self, losses: Sequence[Tensor]) -> dict[str, Tensor]:
        if self.log_variances is None:
            return {term_of(i): w * loss for i, (w, loss) in enumerate(zip(self.weights, losses, strict=True))}
        # Kendall, Gal & Cipolla 2018, "Multi-Task Learning Using Uncertainty", equation 10, s = log sigma^2
        precisions = (-self.log_variances).exp()
        terms = {term_of(i): precisions[i] * loss for i, loss in enumerate(losses)}
        return {**terms, "weights": self.log_variances.sum() / 2}

    def measured(self, model: nn.Module, split: Split, transform: Transform) -> Mapping[str, float]:
        """Accuracy, loss and expected calibration error of each exit."""
        scores = exit_scores(exit_logits(elastic(model), split, transform), split.labels)
        found: dict[str, float] = {}
        for i, score in enumerate(scores, start=1):
            found |= {f"exit_{i}_accuracy": score.accuracy, f"exit_{i}_loss": score.loss}
            found[f"exit_{i}_calibration_error"] = score.calibration_error
        return found

    def state_dict(self) -> Mapping[str, Any]:  # Any: a tensor
        """The learned weights."""
        return {} if self.log_variances is None else {"log_variances": self.log_variances.detach()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # Any: as above
        """Back to them."""
        if self.log_variances is not None:
            self.log_variances.data.copy_(state["log_variances"])


def term_of(exit_: int) -> str:
    """Name of the term of the loss that belongs to an exit, counted from 0.

    >>> term_of(0)
    'exit 1'
    """
    return f"exit {exit_ + 1}"


def elastic(model: nn.Module) -> ElasticNetwork:
    """The elastic network that a model is, or holds within what other methods put around it."""
    found = next((module for module in model.modules() if isinstance(module, ElasticNetwork)), None)
    if found is None:
        raise ConfigError(f"{type(model).__name__} has no exits; train it with the method elastic")
    return found


def drop_before_output(backbone: nn.Module, dropout: float) -> None:
    """Put dropout in front of the output layer where the network has none behind its convolutions, in place."""
    listed = list(backbone.named_modules())
    last = max(i for i, (_, module) in enumerate(listed) if isinstance(module, nn.Linear | nn.Conv2d))
    convolutions = [i for i, (_, module) in enumerate(listed[:last]) if isinstance(module, nn.Conv2d)]
    after = listed[max(convolutions, default=0) : last]
    name, output = listed[last]
    if dropout == 0 or any(isinstance(module, nn.Dropout) for _, module in after):
        return
    parent, _, child = name.rpartition(".")
    setattr(backbone.get_submodule(parent), child, nn.Sequential(nn.Dropout(dropout), output))
