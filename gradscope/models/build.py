"""From the settings of a model to the network."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from gradscope.config import Mlp, PaperCnn, Resnet, Settings
from gradscope.models.mlp import MLP
from gradscope.models.paper_cnn import PaperCNN
from gradscope.models.resnet import ResNet
from gradscope.models.sizes import Shape

# Any: each architecture takes the settings class it stands beside
MODELS: Mapping[type[Settings], Callable[[Any, Shape, int], nn.Module]] = {
    Mlp: MLP,
    PaperCnn: PaperCNN,
    Resnet: ResNet,
}


def build_model(settings: Settings, in_shape: Shape, n_classes: int, seed: int | None = None) -> nn.Module:
    """The network, with PyTorch's default weights.

    Args:
        settings: The model; one of `gradscope.config.model_classes()`.
        in_shape: Channels, height and width of a picture.
        n_classes: Number of classes K.
        seed: Of the weights; the global random state is left as it was. Without it the global state is used.

    Returns:
        A module from images [B, C, H, W] to logits [B, K].
    """
    make = MODELS[type(settings)]
    if seed is None:
        return make(settings, in_shape, n_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make(settings, in_shape, n_classes)
