"""Average precision, as the Pascal visual object classes challenge measures it."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gradscope.config.data import Points
from gradscope.data.dataset import Split
from gradscope.data.transforms import Transform
from gradscope.evaluate.accuracy import answers
from gradscope.labelling import binary_cross_entropy

Values = NDArray[np.float64]
_LARGEST = 1e30


def mean_average_precision(logits: Tensor, labels: Tensor, points: Points) -> float:
    """Mean over the classes of which a picture is there, in 0..1; NaN where there is none.

    Args:
        logits: [N, K]; only their order within a class counts.
        labels: int8 [N, K] of 1, 0 and -1; pictures with -1 are left out for that class.
        points: see `average_precision`.
    """
    # not-finite scores rank last, as an answer that nobody would trust
    scores = torch.nan_to_num(logits.double(), nan=-_LARGEST, posinf=_LARGEST, neginf=-_LARGEST).cpu().numpy()
    truth = labels.cpu().numpy()
    found = [
        average_precision(scores[counts, k], truth[counts, k] > 0, points)
        for k in range(truth.shape[1])
        if (truth[counts := truth[:, k] >= 0, k] > 0).any()
    ]
    return float(np.mean(found)) if found else float("nan")


def average_precision(scores: Values, there: NDArray[np.bool_], points: Points) -> float:
    """Of one class, in 0..1: the mean of the best precision at or beyond each recall.

    Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge", section 4.2. Other than scikit-learn's
    average precision, the curve is made to fall (interpolated) first.

    Args:
        scores: [N], higher is surer.
        there: [N], with at least one True.
        points: `eleven`: the mean at recalls 0, 0.1, ..., 1, as until VOC2009; `all`: the area under the falling curve,
            as from VOC2010 on.
    """
    from sklearn.metrics import precision_recall_curve  # takes a second to import, and few trainings need it

    precision, recall, _ = precision_recall_curve(there, scores)
    # by rising recall, without the (recall 0, precision 1) that scikit-learn adds
    precision, recall = precision[-2::-1], recall[-2::-1]
    falling = np.maximum.accumulate(precision[::-1])[::-1]
    return _MEANS[points](falling, recall)


def _eleven(falling: Values, recall: Values) -> float:
    # a recall of 7 tenths is 0.7 within rounding
    at = [falling[recall >= place / 10 - 1e-12] for place in range(11)]
    return float(np.mean([best[0] for best in at]))


def _area(falling: Values, recall: Values) -> float:
    return float(np.sum(np.diff(recall, prepend=0.0) * falling))


_MEANS: Mapping[Points, Callable[[Values, Values], float]] = {"eleven": _eleven, "all": _area}


def precision(model: nn.Module, split: Split, normalise: Transform, points: Points) -> tuple[float, float]:
    """Mean binary cross entropy in nats and mean average precision in 0..1, in eval mode and without gradients.

    Args:
        model: images [B, C, H, W] to logits [B, K]; its train or eval mode is as before afterwards.
        split: of several labels a picture, on the model's device.
        normalise: uint8 images to what the model was trained on.
        points: see `average_precision`.
    """
    logits = torch.cat([batch for batch, _ in answers(model, split, normalise)])
    return float(binary_cross_entropy(logits, split.labels)), mean_average_precision(logits, split.labels, points)
