"""The pictures: one file a source, all of them uint8 tensors with labels, class names and three splits.

`from gradscope.data.sizes import data_shape` needs no torch; everything named here does, and loads it on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradscope.data.batching import MiniBatch, batches, epoch_generator, minibatches
    from gradscope.data.dataset import Dataset, Progress, Split
    from gradscope.data.loading import load
    from gradscope.data.transforms import Transform, augmenter, normaliser

_HOMES = {
    "Dataset": "dataset",
    "MiniBatch": "batching",
    "Progress": "dataset",
    "Split": "dataset",
    "Transform": "transforms",
    "augmenter": "transforms",
    "batches": "batching",
    "epoch_generator": "batching",
    "load": "loading",
    "minibatches": "batching",
    "normaliser": "transforms",
}
__all__ = [
    "Dataset",
    "MiniBatch",
    "Progress",
    "Split",
    "Transform",
    "augmenter",
    "batches",
    "epoch_generator",
    "load",
    "minibatches",
    "normaliser",
]


def __getattr__(name: str) -> Any:  # Any: PEP 562, the names above have their own types
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
