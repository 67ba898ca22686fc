"""From the settings of a model to the network."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from gradscope.config import InceptionBn, Mlp, MobileNet, PaperCnn, Resnet, Settings, Torchvision
from gradscope.models.inception_bn import InceptionBN
from gradscope.models.mlp import MLP
from gradscope.models.mobilenet import MobileNetV1
from gradscope.models.paper_cnn import PaperCNN
from gradscope.models.resnet import ResNet
from gradscope.models.sizes import Shape


def _torchvision(settings: Torchvision, in_shape: Shape, n_classes: int) -> nn.Module:
    """A network of torchvision."""
    from gradscope.models.zoo import TorchvisionNet  # torchvision takes a second to load, and most runs do without

    return TorchvisionNet(settings, in_shape, n_classes)


# Any: each architecture takes the settings class it stands beside
MODELS: Mapping[type[Settings], Callable[[Any, Shape, int], nn.Module]] = {
    Mlp: MLP,
    PaperCnn: PaperCNN,
    Resnet: ResNet,
    MobileNet: MobileNetV1,
    InceptionBn: InceptionBN,
    Torchvision: _torchvision,
}

IN_SHAPE = "in_shape"
"""Name of the attribute by which methods know for what pictures a model was built."""


def build_model(settings: Settings, in_shape: Shape, n_classes: int, seed: int | None = None) -> nn.Module:
    """The network, with PyTorch's default weights.

    Args:
        settings: The model; one of `gradscope.config.model_classes()`.
        in_shape: Channels, height and width of a picture.
        n_classes: Number of classes K.
        seed: Of the weights; the global random state is left as it was. Without it the global state is used.

    Returns:
        A module from images [B, C, H, W] to logits [B, K], with its in_shape as an attribute.
    """
    if seed is None:
        return _build(settings, in_shape, n_classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return _build(settings, in_shape, n_classes)


def _build(settings: Settings, in_shape: Shape, n_classes: int) -> nn.Module:
    model = MODELS[type(settings)](settings, in_shape, n_classes)
    setattr(model, IN_SHAPE, in_shape)
    return model
