"""Attention transfer: "Paying More Attention to Attention" (Zagoruyko & Komodakis 2017, arXiv 1612.03928), equation 2.

Maps of different sizes are average-pooled to the smaller; the numbers of channels may differ.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import KdAttention
from gradscope.methods.base import Given
from gradscope.methods.distillation import Distilling, Lesson
from gradscope.methods.features import Pair, chosen_pairs, pixels_misfit, same_size, with_pixels


def attention(features: Tensor, power: float) -> Tensor:
    """Where a layer is active: mean over channels of |F|^p, each picture's normalised to length 1; [B, H W].

    Args:
        features: [B, C, H, W].
        power: p.
    """
    return functional.normalize(features.abs().pow(power).mean(dim=1).flatten(1))


def attention_difference(student: Tensor, teacher: Tensor, power: float) -> Tensor:
    """Mean (Q_S - Q_T)^2 over pixels and batch, a scalar; as in RepDistiller, where the paper takes the norm.

    Args:
        student: [B, C, H, W].
        teacher: [B, C', H, W].
        power: p.
    """
    return functional.mse_loss(attention(student, power), attention(teacher, power))


class KdAttentionMethod(Distilling[KdAttention]):
    """The ends of all stages that have more than one pixel."""

    def match(self, given: Given) -> Sequence[Pair]:
        """The named pairs or the stages' ends; layers without pixels are refused."""
        own, networks = self.settings, (given.model, self.teacher)
        return chosen_pairs(own.name, own.pairs, networks, given.data.shape, with_pixels, pixels_misfit)

    def further(self, model: nn.Module, lesson: Lesson) -> Mapping[str, Tensor]:
        """The term `attention`, the sum over the pairs."""
        power = self.settings.power
        found = [
            attention_difference(*same_size(lesson.mine[a.name], lesson.theirs[b.name]), power) for a, b in self.pairs
        ]
        return {"attention": self.settings.attention_weight * torch.stack(found).sum()}
