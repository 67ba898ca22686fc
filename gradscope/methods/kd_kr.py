"""Knowledge representing: "Knowledge Representing: Efficient, Sparse Representation of Prior Knowledge for Knowledge
Distillation" (Liu et al. 2019, arXiv 1911.05329). Its equations are lost to us; this is a reconstruction that is
consistent with every sentence of the text (docs/distillation.md says what is stated and what is ours).

For each mini-batch, in this order (the paper's Algorithm 1):

    A (own optimiser, on K and its projections):  CE(y, f_K(x)) + alpha sum_g s_g mean(d_g^2),
        d_g = (F_T^g - F_K^g) / std(F_T^g), s_g = std(d_g), held fixed: the worse a layer, the more it counts
    B (the run's optimiser, on the student):      the terms of the outputs + lambda / |W| sum_g sum_i h_g(W^g - K^g)_i
    h(u) = eta where |u| <= eta, else kappa |u| - (kappa - 1) eta

K is a network of the student's shape, begun from the student's own weights; each of its layers stands for a group of
the teacher's layers at the same size of map, and F_T^g is what the last one of the group puts out. The thresholds
follow the gradient of the mean penalty, (share inside) - (kappa - 1) (share outside), so they settle where
(kappa - 1) / kappa of the weights are inside; each learns at a rate of its own in units of itself, because within the
sum over |W| the gradient of a small layer's threshold is lost.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD

from gradscope.config import KdGan, KdKr
from gradscope.data import MiniBatch
from gradscope.methods.base import Given
from gradscope.methods.distillation import Distilling, Features, Lesson
from gradscope.methods.features import Pair, Point, all_points, as_map, captured, evenly, same_size
from gradscope.methods.kd_gan import Game
from gradscope.models.activations import weight_layers

_MOMENTUM, _DECAY = 0.9, 1e-5  # stated for both steps
_SMALLEST = 1e-12
"""Of a threshold: one of 0 could not grow in units of itself."""
_LEAST_SPREAD = 0.01
"""Of a teacher's map: in smaller units those of a teacher that hardly answers would be merged by exploding steps."""


def sparse_recoding(values: Tensor, threshold: Tensor | float, kappa: float) -> Tensor:
    """h(u): eta where |u| <= eta, else kappa |u| - (kappa - 1) eta; of the values' shape.

    No gradient inside, a gradient of size kappa outside, and continuous.

    Args:
        values: u, of any shape.
        threshold: eta > 0, a scalar.
        kappa: above 1.
    """
    size = values.abs()
    inside = torch.as_tensor(threshold, dtype=size.dtype, device=size.device)
    return torch.where(size <= inside, inside, kappa * size - (kappa - 1) * inside)


def threshold_slope(values: Tensor, threshold: Tensor | float, kappa: float) -> Tensor:
    """D mean(h) / d eta = (share inside) - (kappa - 1) (share outside), a scalar.

    Args:
        values: u, of any shape.
        threshold: eta.
        kappa: above 1.
    """
    outside = (values.abs() > threshold).double().mean()
    return 1 - kappa * outside


def settled(values: Tensor, threshold: Tensor, kappa: float, rate: float) -> Tensor:
    """The threshold after one step against its slope, in units of itself: eta exp(-rate slope); a scalar."""
    slope = threshold_slope(values, threshold, kappa)
    moved: Tensor = threshold * torch.exp(-rate * slope).to(threshold.dtype)
    return moved.clamp_min(_SMALLEST)


def transport(teacher: Tensor, merged: Tensor) -> Tensor:
    """The cost s mean(d^2), d = (F_T - F_K) / std(F_T), with s = std(d) held fixed; a scalar.

    In units of the teacher's spread: s mean(d^2) grows as the third power of d, so with maps of a spread of 5 a rate
    of 0.1, which the paper states, was seen to diverge within ten steps.

    Args:
        teacher: [B, C, H, W].
        merged: [B, C, H, W].
    """
    difference = (teacher - merged) / teacher.detach().std(correction=0).clamp_min(_LEAST_SPREAD)
    return difference.detach().std(correction=0) * difference.square().mean()


def groups(student: Sequence[Point], teacher: Sequence[Point]) -> list[Pair]:
    """For each layer of the student the last layer of the teacher's group that is merged into it.

    Layers that put out maps of one size make a stage. Where both networks have as many stages, no group crosses from
    one into the next (the paper spans such a change by an identity layer, which this avoids); else groups are cut over
    the whole depth.

    Args:
        student: its weight layers but the output layer, from the input.
        teacher: the same of the teacher.
    """
    stages = [list(_stages(points)) for points in (student, teacher)]
    if len(stages[0]) != len(stages[1]):
        stages = [[list(student)], [list(teacher)]]
    pairs: list[Pair] = []
    for mine, theirs in zip(*stages, strict=True):
        pairs += zip(mine, evenly(theirs, len(mine)), strict=True)
    return pairs


def _stages(points: Sequence[Point]) -> list[list[Point]]:
    found: dict[tuple[int, ...], list[Point]] = {}
    for point in points:
        found.setdefault(point.shape[1:], []).append(point)
    return list(found.values())


class KdKrMethod(Distilling[KdKr]):
    """Both steps; with KDGAN's game on top where the settings say so."""

    @property
    def asks_once(self) -> bool:
        """Step A needs the teacher's layers for every batch."""
        return False

    def match(self, given: Given) -> Sequence[Pair]:
        """Each of the student's weight layers with the end of its group; the output layers are left out."""
        mine, theirs = (_weight_points(net, given) for net in (given.model, self.teacher))
        return groups(mine, theirs)

    def make(self, given: Given) -> None:
        """The merged network, its projections and optimiser, and the thresholds."""
        self.merged = copy.deepcopy(given.model)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(given.generator.initial_seed())
            made = [_projection(mine.shape[0], theirs.shape[0]) for mine, theirs in self.pairs]
        self.projections = nn.ModuleList(made).to(given.device)
        own = [*self.merged.parameters(), *self.projections.parameters()]
        self._optimizer = SGD(own, given.rate() * self.settings.merge_rate, _MOMENTUM, weight_decay=_DECAY)
        self._rate = given.rate
        self.thresholds: list[Tensor] = []
        """One a group, as soon as there is a difference to begin from."""
        self._answer: tuple[Tensor, Features] | None = None
        self._game = Game(KdGan(), given, self.teacher) if self.settings.gan else None

    def before_pass(self, model: nn.Module, batch: MiniBatch) -> None:
        """Step A."""
        self._answer = super().ask(batch)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate() * self.settings.merge_rate
        with captured(self.merged, [mine.name for mine, _ in self.pairs]) as merged:
            logits = self.merged(batch.images)
        loss = self.labelling.loss(logits, batch.labels)
        loss = loss + self.settings.transport_weight * self._transport(self._answer[1], merged)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        self._optimizer.step()

    def _transport(self, theirs: Features, merged: Features) -> Tensor:
        found = []
        for (mine, end), projection in zip(self.pairs, self.projections, strict=True):
            wanted, own = same_size(as_map(theirs[end.name]), projection(as_map(merged[mine.name])))
            found.append(transport(wanted, own))
        return torch.stack(found).sum()

    def ask(self, batch: MiniBatch) -> tuple[Tensor, Features]:
        """What step A has asked for already."""
        return self._answer if self._answer is not None else super().ask(batch)

    def further(self, model: nn.Module, lesson: Lesson) -> Mapping[str, Tensor]:
        """The term `penalty`, and those of the game."""
        self._answer = None
        differences = self.differences(model)
        size = sum(d.numel() for d in differences)
        penalty = self.settings.recode_weight / size * self._penalty(model, differences)
        return {"penalty": penalty, **({} if self._game is None else self._game.terms(lesson))}

    def _penalty(self, model: nn.Module, differences: Sequence[Tensor]) -> Tensor:
        pull = torch.stack([d.square().sum() for d in differences]).sum()
        if self.settings.dense:
            return pull
        recoded = self._recoded(model, differences)
        if not self.thresholds:
            self.thresholds = [u.detach().abs().mean().clamp_min(_SMALLEST) for u in recoded]
        found = [
            sparse_recoding(u, t, self.settings.kappa).sum() for u, t in zip(recoded, self.thresholds, strict=True)
        ]
        return torch.stack(found).sum() + (pull if self.settings.recode_on == "weights" else 0)

    def _recoded(self, model: nn.Module, differences: Sequence[Tensor]) -> Sequence[Tensor]:
        """What the sparse recoding is of, by group."""
        return differences if self.settings.recode_on == "difference" else self._weights(model)

    def before_step(self, model: nn.Module) -> None:
        """The thresholds learn."""
        own = self.settings
        with torch.no_grad():
            recoded = self._recoded(model, self.differences(model))
            self.thresholds = [
                settled(u, t, own.kappa, own.threshold_rate) for u, t in zip(recoded, self.thresholds, strict=False)
            ]

    def differences(self, model: nn.Module) -> list[Tensor]:
        """W^g - K^g of every group, each of its layer's shape; the merged weights without a gradient."""
        pairs = zip(self._weights(model), self._weights(self.merged), strict=True)
        return [mine - merged.detach() for mine, merged in pairs]

    def _weights(self, model: nn.Module) -> list[Tensor]:
        return [model.get_parameter(f"{mine.name}.weight") for mine, _ in self.pairs]

    def state_dict(self) -> Mapping[str, Any]:  # Any: as in Method
        """Merged network, projections, optimiser, thresholds and the game."""
        return {
            "merged": self.merged.state_dict(),
            "projections": self.projections.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "thresholds": self.thresholds,
            "game": {} if self._game is None else self._game.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # Any: as in Method
        """Back to it."""
        self.merged.load_state_dict(state["merged"])
        self.projections.load_state_dict(state["projections"])
        self._optimizer.load_state_dict(state["optimizer"])
        device = next(self.merged.parameters()).device
        self.thresholds = [threshold.to(device) for threshold in state["thresholds"]]
        if self._game is not None:
            self._game.load_state_dict(state["game"])


def _weight_points(model: nn.Module, given: Given) -> list[Point]:
    layers = set(weight_layers(model)[:-1])
    names = {name for name, module in model.named_modules() if module in layers}
    return [point for point in all_points(model, given.data.shape) if point.name in names]


def _projection(channels: int, wanted: int) -> nn.Module:
    """Nothing where the merged layer has as many channels as the teacher's; the paper does not say what else."""
    return nn.Identity() if channels == wanted else nn.Conv2d(channels, wanted, 1, bias=False)
