"""Five small real runs on the digits that come with scikit-learn: what vanishes, what cures it, what is healthy."""

from collections.abc import Mapping
from typing import Any

from gradscope.config import RunConfig
from gradscope.overrides import with_overrides
from gradscope.presets import preset

DEMO_TAG = "demo"

_CHANGES: dict[str, Mapping[str, Any]] = {  # Any: whatever a setting may be
    "sigmoid": {},
    "tanh": {},
    "tanh-pn": {},
    "tanh-residual": {},
    "relu": {},
}


def demo_runs() -> list[tuple[str, RunConfig]]:
    """The five runs of `gradscope demo`: name and config. Together under a minute on two cores."""
    return [(name, with_overrides(preset(name).config, changes)) for name, changes in _CHANGES.items()]
