"""Hints: "FitNets: Hints for Thin Deep Nets" (Romero et al. 2015, arXiv 1412.6550), equation 3.

Maps of different sizes are pooled to the smaller one (RepDistiller's regressor strides or pads for it), channels are
mapped by the regressor, so any two layers can be compared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import KdFitNet
from gradscope.methods.base import Given
from gradscope.methods.distillation import Distilling, Lesson
from gradscope.methods.features import Pair, as_map, chosen_pairs, same_size


def hint(regressed: Tensor, teacher: Tensor) -> Tensor:
    """Mean (r(F_S) - F_T)^2, a scalar; without the 1/2 of the paper, as in RepDistiller.

    Args:
        regressed: the student's map after the regressor r, [B, C, H, W].
        teacher: the teacher's map, [B, C, H, W].
    """
    return functional.mse_loss(regressed, teacher)


def regressor(channels: int, wanted: int, side: int) -> nn.Module:
    """A convolution and a batch norm, as in RepDistiller, without which a weight of 100 diverges; but without its ReLU,
    because our teachers' layers may be negative.
    """
    return nn.Sequential(nn.Conv2d(channels, wanted, side, padding=side // 2, bias=False), nn.BatchNorm2d(wanted))


class KdFitNetMethod(Distilling[KdFitNet]):
    """One hint layer, by default at two thirds of the stages: the end of stage 2 of 3, as in RepDistiller."""

    @property
    def first_stage(self) -> float:
        """As the settings say."""
        return self.settings.first_stage

    def match(self, given: Given) -> Sequence[Pair]:
        """The named pairs, or the middle one of the stages."""
        networks = given.model, self.teacher
        return chosen_pairs(self.settings.name, self.settings.pairs, networks, given.data.shape, default=_two_thirds)

    def make(self, given: Given) -> None:
        """The regressors, trained with the student."""
        side = self.settings.kernel
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(given.generator.initial_seed())
            made = [regressor(mine.shape[0], theirs.shape[0], side) for mine, theirs in self.pairs]
        self.regressors = nn.ModuleList(made).to(given.device)

    def parameter_groups(self) -> Sequence[dict[str, Any]]:  # Any: as torch.optim takes them
        """The regressors'."""
        return [{"params": list(self.regressors.parameters())}]

    def further(self, model: nn.Module, lesson: Lesson) -> Mapping[str, Tensor]:
        """The term `hint`, the sum over the pairs."""
        found = []
        for (student, teacher), regress in zip(self.pairs, self.regressors, strict=True):
            own, wanted = same_size(as_map(lesson.mine[student.name]), as_map(lesson.theirs[teacher.name]))
            found.append(hint(regress(own), wanted))
        return {"hint": self.settings.hint_weight * torch.stack(found).sum()}

    def state_dict(self) -> Mapping[str, Any]:  # Any: as in Method
        """The regressors'."""
        return {"regressors": self.regressors.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # Any: as in Method
        """Back to it."""
        self.regressors.load_state_dict(state["regressors"])


def _two_thirds(stages: list[Pair]) -> list[Pair]:
    return [stages[-(-2 * len(stages) // 3) - 1]]
