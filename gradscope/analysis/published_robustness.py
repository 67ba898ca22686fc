"""What papers state of the accuracy of networks like ours, to stand beside the measured curves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

PN_PAPER = "Bu et al. 2026"


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published accuracy."""

    level: float
    """Of the noise; 0 for clean pictures."""
    accuracy: float
    """In 0..1."""
    what: str
    """Who says it of which network."""


_PN: Mapping[tuple[str, int, str, bool, str], tuple[float, str]] = {
    ("cifar10", 1, "tanh", True, "none"): (0.805, "model 1, no augmentation, 90 epochs"),
    ("cifar10", 1, "tanh", True, "flip_crop"): (0.8261, "model 1, 90 epochs"),
    ("cifar10", 2, "tanh", True, "flip_crop"): (0.8419, "model 2, 90 epochs"),
    ("cifar10", 1, "relu", False, "none"): (0.767, "model 1 with ReLU"),
    ("cifar10", 1, "relu", False, "flip_crop"): (0.767, "model 1 with ReLU"),
    ("cifar100", 3, "tanh", True, "flip_crop"): (0.6123, "model 3, 160 epochs"),
}
"""By data set, variant, activation, pseudo-normalised, augmentation. The paper does not say how its ReLU network was
augmented. Its table 3, the accuracies under noise, is lost to us: only clean accuracies can be drawn."""


def published(config: Mapping[str, Any]) -> Published | None:  # Any: whatever a config holds
    """What is published of a run with these settings, trained on all pictures; None if nothing is."""
    data, model = (config.get(part) for part in ("data", "model"))
    if not (isinstance(data, Mapping) and isinstance(model, Mapping)) or model.get("name") != "paper_cnn":
        return None
    if model.get("width", 1) != 1:
        return None
    methods = config.get("methods") or []
    pseudo = any(isinstance(m, Mapping) and m.get("name") == "pseudo_norm" for m in methods)
    source = PurePath(str(data.get("path") or data.get("name"))).name
    found = _PN.get((source, model.get("variant", 1), str(model.get("activation")), pseudo, str(data.get("augment"))))
    return found and Published(level=0.0, accuracy=found[0], what=f"{PN_PAPER}: {found[1]}")
