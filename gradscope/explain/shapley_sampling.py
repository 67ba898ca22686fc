"""Shapley values of patches from random orders (Castro, Gomez & Tejada 2009)."""

from captum.attr import ShapleyValueSampling
from torch import Tensor

from gradscope.config.attributions import ShapleySampling
from gradscope.explain.patches import patch_ids, patch_side
from gradscope.explain.question import AT_ONCE, Question, seeded


def shapley_sampling(settings: ShapleySampling, question: Question) -> Tensor:
    """How much the logit rises when a patch of one channel replaces the baseline's, averaged over orders; [B, C, H, W].

    A patch's value is spread evenly over its pixels. Whatever the number of orders, the sum is exact.
    """
    channels, height, width = question.images.shape[1:]
    patches = patch_ids(patch_side(settings.patch, height, width), channels, height, width).to(question.images.device)
    with seeded(question.seed, question.images.device):
        repeated: Tensor = ShapleyValueSampling(question.model).attribute(
            question.images,
            baselines=question.references.baseline(settings.baseline, question.images),
            target=question.targets,
            feature_mask=patches,
            n_samples=settings.permutations,
            perturbations_per_eval=max(1, AT_ONCE // len(question.images)),
        )
    sizes = patches.flatten().bincount()
    return repeated.float() / sizes[patches]
