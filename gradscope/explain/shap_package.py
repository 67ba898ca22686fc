"""The shap package, imported when it is wanted, and the one-output network that it is given."""

import importlib
import warnings
from types import ModuleType

from torch import Tensor, nn


def shap_package() -> ModuleType:
    """`shap`, which takes two seconds to import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its plots, which meet the newest matplotlib
        return importlib.import_module("shap")


class SingleLogit(nn.Module):
    """Images [B, C, H, W] to the logit of one class, [B, 1]: shap explains all outputs of a network, one is wanted."""

    def __init__(self, model: nn.Module, target: int) -> None:
        super().__init__()
        self.model = model
        self.target = target

    def forward(self, images: Tensor) -> Tensor:
        """[B, C, H, W] to [B, 1]."""
        logits: Tensor = self.model(images)
        return logits[:, self.target : self.target + 1]
