"""A network's maps by any method, with the proof that they add up."""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gradscope.analysis.completeness import pooled_error
from gradscope.config.attributions import (
    MOST_ERROR,
    AttributionSettings,
    Background,
    Baselined,
    DeepLiftShap,
    GradCam,
    GradientShap,
    InputGradient,
    IntegratedGradients,
    Occlusion,
    ShapGradient,
    ShapleySampling,
    ShapPartition,
    SmoothGrad,
)
from gradscope.errors import AttributionError
from gradscope.explain.deeplift_shap import deeplift_shap
from gradscope.explain.grad_cam import grad_cam
from gradscope.explain.gradient_shap import gradient_shap
from gradscope.explain.input_gradient import input_gradient
from gradscope.explain.integrated_gradients import integrated_gradients
from gradscope.explain.occlusion import occlusion
from gradscope.explain.question import Question
from gradscope.explain.shap_gradient import shap_gradient
from gradscope.explain.shap_partition import shap_partition
from gradscope.explain.shapley_sampling import shapley_sampling
from gradscope.explain.smooth_grad import smooth_grad

# Any: each method takes the settings class it stands beside
METHODS: Mapping[type[AttributionSettings], Callable[[Any, Question], Tensor]] = {
    InputGradient: input_gradient,
    SmoothGrad: smooth_grad,
    GradCam: grad_cam,
    IntegratedGradients: integrated_gradients,
    GradientShap: gradient_shap,
    DeepLiftShap: deeplift_shap,
    Occlusion: occlusion,
    ShapleySampling: shapley_sampling,
    ShapGradient: shap_gradient,
    ShapPartition: shap_partition,
}


@dataclass(frozen=True, kw_only=True)
class Maps:
    """What each pixel of B pictures contributes to a logit."""

    values: Tensor
    """float32 [B, C, H, W], on the pictures' device; [B, 1, H, W] where the method knows no channels."""
    totals: Tensor
    """float32 [B]: the sum over each map."""
    differences: Tensor
    """float32 [B]: what the sum promises to be, the logit less the baseline's; NaN where nothing is promised."""
    logits: Tensor
    """float32 [B]: the explained logit."""


def attribute(settings: AttributionSettings, question: Question) -> Maps:
    """The maps of one method.

    Raises:
        AttributionError: the method cannot explain this network, or did it wrongly; one sentence that says why.
    """
    with _only_looked_at(question.model):
        values = METHODS[type(settings)](settings, question).detach()
        logits = question.logits(question.images)
        differences = logits - nothing(settings, question)
    if not torch.isfinite(values).all():
        raise AttributionError(
            f"{settings.title} is not finite on this network, whose outputs or gradients are not; explain a run that "
            "did not diverge"
        )
    maps = Maps(values=values, totals=values.sum(dim=(1, 2, 3)), differences=differences, logits=logits)
    if isinstance(settings, DeepLiftShap):
        _refuse_wrong_sum(maps)
    return maps


def nothing(settings: AttributionSettings, question: Question) -> Tensor:
    """The logit of what the pictures are compared with, float32 [B]; NaN for a method that promises no sum."""
    if isinstance(settings, Baselined) and settings.adds_up:
        return question.logits(question.references.baseline(settings.baseline, question.images))
    if isinstance(settings, Background) and settings.adds_up:
        with torch.no_grad():
            mean: Tensor = question.model(question.references.background(settings.background)).mean(dim=0)
        return mean[question.targets]
    return torch.full((len(question.images),), torch.nan, device=question.images.device)


def _refuse_wrong_sum(maps: Maps) -> None:
    """DeepLIFT's sum is exact where its rules hold: a gap is a rule that no inspection of the network foresaw."""
    error = pooled_error(*(t.double().cpu().numpy() for t in (maps.totals, maps.differences, maps.logits)))
    if error is None or not error <= MOST_ERROR:
        raise AttributionError(
            f"DeepLIFT is wrong on this network: its sums miss the logits by {error or math.nan:.0%}, more than "
            f"{MOST_ERROR:.0%}; choose integrated_gradients, which serves any network"
        )


@contextmanager
def _only_looked_at(model: nn.Module) -> Iterator[None]:
    """In eval mode and without gradients of the weights, which nobody asks for; then as it was."""
    modes = [(module, module.training) for module in model.modules()]
    wanted = [(weight, weight.requires_grad) for weight in model.parameters()]
    try:
        model.eval().requires_grad_(False)
        yield
    finally:
        for module, training in modes:
            module.training = training
        for weight, gradient in wanted:
            weight.requires_grad_(gradient)
