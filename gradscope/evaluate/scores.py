"""Loss and score of a network on a split, whatever the labels of its pictures."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from gradscope.config import DataSettings
from gradscope.data.dataset import Split
from gradscope.data.transforms import Transform
from gradscope.evaluate.accuracy import accuracy
from gradscope.evaluate.precision import precision


def scored(data: DataSettings, model: nn.Module, split: Split, normalise: Transform) -> tuple[float, float]:
    """Mean loss in nats, and accuracy or mean average precision in 0..1, in eval mode and without gradients.

    Args:
        data: where the split comes from; its `labels` say which of the two it is.
        model: images [B, C, H, W] to logits [B, K]; its train or eval mode is as before afterwards.
        split: on the model's device.
        normalise: uint8 images to what the model was trained on.
    """
    return _SCORES[data.labels](data, model, split, normalise)


# Any: a source of several labels says how its average precision is taken
_SCORES: Mapping[str, Callable[[Any, nn.Module, Split, Transform], tuple[float, float]]] = {
    "one": lambda data, model, split, normalise: accuracy(model, split, normalise),
    "several": lambda data, model, split, normalise: precision(model, split, normalise, data.points),
}
