"""Neuron selectivity transfer: "Like What You Like" (Huang & Wang 2017, arXiv 1707.01219), equations 5 and 7.

Each channel's map, flattened and normalised, is a sample; student's and teacher's samples are compared as
distributions, so the numbers of channels may differ. Maps of different sizes are average-pooled to the smaller, as in
RepDistiller.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import KdNst
from gradscope.methods.base import Given
from gradscope.methods.distillation import Distilling, Lesson
from gradscope.methods.features import Pair, chosen_pairs, pixels_misfit, same_size, with_pixels


def discrepancy(student: Tensor, teacher: Tensor) -> Tensor:
    """Squared maximum mean discrepancy with k(u, v) = (u . v)^2 between channels, mean over the batch; a scalar.

    mean k(T, T) + mean k(S, S) - 2 mean k(S, T), each channel's map normalised to length 1.

    Args:
        student: [B, C, H, W].
        teacher: [B, C', H, W].
    """
    s, t = (functional.normalize(f.flatten(2), dim=2) for f in (student, teacher))
    return _kernel(t, t) + _kernel(s, s) - 2 * _kernel(s, t)


def _kernel(a: Tensor, b: Tensor) -> Tensor:
    return (a @ b.transpose(1, 2)).square().mean()


class KdNstMethod(Distilling[KdNst]):
    """The ends of all stages that have more than one pixel."""

    def match(self, given: Given) -> Sequence[Pair]:
        """The named pairs or the stages' ends; layers without pixels are refused."""
        own, networks = self.settings, (given.model, self.teacher)
        return chosen_pairs(own.name, own.pairs, networks, given.data.shape, with_pixels, pixels_misfit)

    def further(self, model: nn.Module, lesson: Lesson) -> Mapping[str, Tensor]:
        """The term `selectivity`, the sum over the pairs."""
        found = [discrepancy(*same_size(lesson.mine[a.name], lesson.theirs[b.name])) for a, b in self.pairs]
        return {"selectivity": self.settings.nst_weight * torch.stack(found).sum()}
