"""Networks of torchvision, as published or with first layers that suit pictures of 32x32."""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.error import URLError

import torch
from torch import Tensor, nn
from torchvision import models

from gradscope.config import Torchvision
from gradscope.errors import ConfigError
from gradscope.models.blocks import resize
from gradscope.models.sizes import Shape
from gradscope.models.sizes_zoo import ZOO

IMAGENET_CLASSES = 1000
_SMALLEST = {"vgg16_bn": 32}
"""Side in pixels below which a network with the small stem has nothing left to look at."""
_MORE: Mapping[str, Mapping[str, Any]] = {  # Any: arguments of torchvision's functions
    "inception_v3": {"aux_logits": False, "init_weights": False}
}


class TorchvisionNet(nn.Module):
    """A network of torchvision behind a resize."""

    def __init__(self, settings: Torchvision, in_shape: Shape, n_classes: int) -> None:
        super().__init__()
        self.size = settings.size
        _refuse(settings, in_shape)
        self.net = _published(settings, n_classes)
        if in_shape[0] != 3:
            conv = ZOO[settings.architecture].conv
            _replace(self.net, conv, _first_layer(self.net.get_submodule(conv), in_shape[0]))
        if settings.stem == "small":
            _SMALL[settings.architecture.partition("_")[0].rstrip("0123456789")](self.net, n_classes)
        for module in self.net.modules():
            if hasattr(module, "inplace"):
                setattr(module, "inplace", False)  # noqa: B010  (hooks are to see the layers' own outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] to logits [B, K]."""
        logits: Tensor = self.net(resize(images, self.size))
        return logits


def _refuse(settings: Torchvision, in_shape: Shape) -> None:
    """Say no to pictures that the network cannot take."""
    side, least = settings.size or min(in_shape[1:]), _SMALLEST.get(settings.architecture, 1)
    if side < least:
        raise ConfigError(
            f"{settings.architecture} needs pictures of at least {least}x{least} pixels, and these have "
            f"{in_shape[1]}x{in_shape[2]}; set model.size to {least}"
        )
    if settings.pretrained and in_shape[0] != 3:
        raise ConfigError(
            f"pretrained weights are for pictures of 3 channels, and these have {in_shape[0]}; set model.pretrained "
            "to false"
        )


def _published(settings: Torchvision, n_classes: int) -> nn.Module:
    """As torchvision has it, but for the number of classes."""
    name, more = settings.architecture, _MORE.get(settings.architecture, {})
    on_meta = torch.empty(0).device.type == "meta"  # only its shapes are asked for
    if not settings.pretrained or on_meta:
        net: nn.Module = models.get_model(name, weights=None, num_classes=n_classes, **more)
        return net
    weights = models.get_model_weights(name)
    try:
        net = models.get_model(name, weights=getattr(weights, "IMAGENET1K_V1", weights.DEFAULT))
    except (URLError, OSError) as error:
        raise ConfigError(
            f"the ImageNet weights of {name} cannot be downloaded ({error}); set model.pretrained to false"
        ) from error
    _without_extras(net)
    _replace(net, ZOO[name].output, _output_layer(net.get_submodule(ZOO[name].output), n_classes))
    return net


def _without_extras(net: Any) -> None:  # Any: attributes that only Inception has
    """Leave out Inception's auxiliary head and its own standardisation: our data come standardised."""
    if isinstance(net, models.Inception3):
        net.transform_input, net.aux_logits, net.AuxLogits = False, False, None


def _first_layer(old: nn.Module, in_channels: int) -> nn.Conv2d:
    """A convolution like this one for other pictures; new weights."""
    assert isinstance(old, nn.Conv2d)
    kernel, stride, padding = old.kernel_size[0], old.stride[0], int(old.padding[0])
    return nn.Conv2d(in_channels, old.out_channels, kernel, stride, padding, bias=old.bias is not None)


def _output_layer(old: nn.Module, n_classes: int) -> nn.Module:
    """A layer like this one for other classes; new weights."""
    if isinstance(old, nn.Conv2d):
        return nn.Conv2d(old.in_channels, n_classes, 1)
    return nn.Linear(int(old.get_parameter("weight").shape[1]), n_classes)


def _replace(net: nn.Module, name: str, by: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(net.get_submodule(parent), child, by)


def _small_first(net: nn.Module, conv: str, pool: str) -> None:
    """A first convolution of 3x3 without a stride, and no pooling after it."""
    old = net.get_submodule(conv)
    assert isinstance(old, nn.Conv2d)
    _replace(net, conv, nn.Conv2d(old.in_channels, old.out_channels, 3, padding=1, bias=old.bias is not None))
    _replace(net, pool, nn.Identity())


def _small_resnet(net: nn.Module, n_classes: int) -> None:
    _small_first(net, "conv1", "maxpool")


def _small_densenet(net: nn.Module, n_classes: int) -> None:
    _small_first(net, "features.conv0", "features.pool0")


def _small_squeezenet(net: nn.Module, n_classes: int) -> None:
    _small_first(net, "features.0", "features.2")


def _small_mobilenet(net: nn.Module, n_classes: int) -> None:
    conv = net.get_submodule("features.0.0")
    assert isinstance(conv, nn.Conv2d)
    conv.stride = (1, 1)


def _small_vgg(net: nn.Module, n_classes: int) -> None:
    """One dense layer on the mean of the last map in place of three on 7x7 copies of its one pixel."""
    _replace(net, "avgpool", nn.AdaptiveAvgPool2d(1))
    _replace(net, "classifier", nn.Sequential(nn.Dropout(0.2), nn.Linear(512, n_classes)))


_SMALL: Mapping[str, Callable[[nn.Module, int], None]] = {
    "resnet": _small_resnet,
    "densenet": _small_densenet,
    "mobilenet": _small_mobilenet,
    "vgg": _small_vgg,
    "squeezenet": _small_squeezenet,
}
"""By the family, which is the name's first word without its number."""
