"""Occlusion (Zeiler & Fergus 2014, section 4.2)."""

from captum.attr import Occlusion as Captum
from torch import Tensor

from gradscope.config.attributions import Occlusion
from gradscope.explain.patches import patch_side
from gradscope.explain.question import AT_ONCE, Question


def occlusion(settings: Occlusion, question: Question) -> Tensor:
    """Mean fall of the logit over the positions of a square that cover a pixel; [B, C, H, W], the same in each channel.

    The square moves by half its side and covers all channels with the baseline. Sums have no meaning.
    """
    channels, height, width = question.images.shape[1:]
    side = patch_side(settings.patch, height, width)
    stride = max(1, side // 2)
    out: Tensor = Captum(question.model).attribute(
        question.images,
        sliding_window_shapes=(channels, side, side),
        strides=(channels, stride, stride),
        baselines=question.references.baseline(settings.baseline, question.images),
        target=question.targets,
        perturbations_per_eval=max(1, AT_ONCE // len(question.images)),
    )
    return out.float()
