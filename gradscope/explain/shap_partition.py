"""Owen values of a hierarchy of rectangles by SHAP's PartitionExplainer with an image masker (Lundberg & Lee 2017)."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gradscope.config.attributions import ShapPartition
from gradscope.explain.question import Question, seeded
from gradscope.explain.shap_package import shap_package


def shap_partition(settings: ShapPartition, question: Question) -> Tensor:
    """The value of each rectangle that the evaluations tell apart, spread evenly over it; [B, C, H, W]."""
    baselines = question.references.baseline(settings.baseline, question.images)
    with seeded(question.seed, question.images.device):
        maps = [
            _one(settings, question, image, baseline, target)
            for image, baseline, target in zip(question.images, baselines, question.targets.tolist(), strict=True)
        ]
    return torch.stack(maps)


def _one(settings: ShapPartition, question: Question, image: Tensor, baseline: Tensor, target: int) -> Tensor:
    device = image.device

    def logit(pictures: NDArray[np.float32]) -> NDArray[np.float32]:
        channels_first = torch.as_tensor(pictures, dtype=torch.float32, device=device).permute(0, 3, 1, 2)
        with torch.no_grad():
            found: NDArray[np.float32] = question.model(channels_first.contiguous())[:, target].cpu().numpy()
        return found

    masker = shap_package().maskers.Image(_channels_last(baseline))
    explainer = shap_package().PartitionExplainer(logit, masker)
    found = explainer(
        _channels_last(image)[None], max_evals=settings.evaluations, fixed_context=None, batch_size=100, silent=True
    )
    values = np.asarray(found.values, dtype=np.float32).reshape(_channels_last(image).shape)
    return torch.from_numpy(values).permute(2, 0, 1).to(device)


def _channels_last(picture: Tensor) -> NDArray[np.float32]:
    found: NDArray[np.float32] = picture.detach().permute(1, 2, 0).contiguous().cpu().numpy()
    return found
