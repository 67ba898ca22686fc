"""The pictures: one file a source, all of them uint8 tensors with labels, class names and three splits.

`from gradscope.data.sizes import data_shape` needs no torch; everything named here does, and loads it on first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradscope.data.batches import batches
    from gradscope.data.dataset import Dataset, Progress, Split
    from gradscope.data.load import load
    from gradscope.data.transforms import Transform, augmenter, normaliser

_HOMES = {
    "Dataset": "dataset",
    "Progress": "dataset",
    "Split": "dataset",
    "Transform": "transforms",
    "augmenter": "transforms",
    "batches": "batches",
    "load": "load",
    "normaliser": "transforms",
}
__all__ = ["Dataset", "Progress", "Split", "Transform", "augmenter", "batches", "load", "normaliser"]


def __getattr__(name: str) -> Any:  # Any: PEP 562, the names above have their own types
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # importing the file `load` has bound the module to that name
    return value
