"""Flow of the solution procedure: "A Gift from Knowledge Distillation" (Yim et al., CVPR 2017), equations 1 and 2.

Between the first and the last map of a section, G_ij = 1 / (h w) sum_st F1_stij F2_stij for all pairs of channels. Of
two maps of one section the larger is average-pooled to the smaller (as in RepDistiller; the paper pools by maximum).
Student and teacher need the same numbers of channels, as in the paper; their maps may differ in size.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import KdFsp
from gradscope.methods.base import Given
from gradscope.methods.distillation import Distilling, Lesson
from gradscope.methods.features import Pair, Point, all_points, as_map, chosen_pairs, same_size, stem


def flow(first: Tensor, last: Tensor) -> Tensor:
    """The matrices of one section, [B, C1, C2].

    Args:
        first: [B, C1, H1, W1].
        last: [B, C2, H2, W2]; the larger of the two maps is pooled to the smaller.
    """
    a, b = same_size(first, last)
    a, b = a.flatten(2), b.flatten(2)
    return a @ b.transpose(1, 2) / a.shape[2]


def flow_difference(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Sum over sections of mean (G_S - G_T)^2, a scalar.

    Args:
        student: the maps at the sections' borders, each [B, C_i, H_i, W_i]; n + 1 of them make n sections.
        teacher: as many, with the same channels.
    """
    sections = zip(pairwise(student), pairwise(teacher), strict=True)
    return torch.stack([functional.mse_loss(flow(*mine), flow(*theirs)) for mine, theirs in sections]).sum()


class KdFspMethod(Distilling[KdFsp]):
    """Sections between the first activation and the ends of the stages."""

    @property
    def first_stage(self) -> float:
        """As the settings say."""
        return self.settings.first_stage

    def match(self, given: Given) -> Sequence[Pair]:
        """Borders of the sections, from the input."""
        networks = given.model, self.teacher
        mine, theirs = (stem(net, all_points(net, given.data.shape)) for net in networks)
        own = self.settings

        def borders(ends: list[Pair]) -> list[Pair]:
            return [(mine, theirs), *(pair for pair in ends if pair != (mine, theirs))]

        return chosen_pairs(own.name, own.pairs, networks, given.data.shape, borders, channels_misfit)

    def further(self, model: nn.Module, lesson: Lesson) -> Mapping[str, Tensor]:
        """The term `flow`."""
        borders = [
            (as_map(lesson.mine[student.name]), as_map(lesson.theirs[teacher.name])) for student, teacher in self.pairs
        ]
        students, teachers = zip(*borders, strict=True)
        return {"flow": self.settings.fsp_weight * flow_difference(students, teachers)}


def channels_misfit(mine: Point, theirs: Point) -> str | None:
    """Different numbers of channels have matrices of different shapes."""
    if mine.shape[0] == theirs.shape[0]:
        return None
    return f"they have {mine.shape[0]} and {theirs.shape[0]} channels"
