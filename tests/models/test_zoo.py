"""Torchvision's networks in both forms, MobileNet-V1, BN-Inception: published sizes, constants against the networks."""

import warnings
from typing import get_args

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from gradscope.config import InceptionBn, MobileNet, Settings, Torchvision, parse_config
from gradscope.config.models import Architecture
from gradscope.errors import ConfigError
from gradscope.methods.features import captured
from gradscope.models import build_model, estimate
from gradscope.models.sizes import Shape, n_macs, n_parameters
from gradscope.models.zoo import TorchvisionNet

ARCHITECTURES: tuple[str, ...] = get_args(Architecture)
IMAGENET, CIFAR, GREY = (3, 224, 224), (3, 32, 32), (1, 32, 32)


def published(name: str) -> Torchvision:
    return Torchvision.model_validate({"architecture": name, "stem": "imagenet", **_size(name)})


def _size(name: str) -> dict[str, int]:
    return {"size": 299} if name == "inception_v3" else {}


def on_meta(settings: Settings, shape: Shape, classes: int) -> nn.Module:
    with torch.device("meta"):
        return build_model(settings, shape, classes)


def flops(model: nn.Module, shape: Shape) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.empty(1, *shape, device="meta"))
    return counter.get_total_flops()


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_as_published_it_has_torchvisions_parameters_and_gigaflops(name: str) -> None:
    meta = models.get_model_weights(name).IMAGENET1K_V1.meta
    model = on_meta(published(name), IMAGENET, 1000)
    # torchvision counts multiply-accumulates and calls them FLOPs, and the auxiliary head of Inception's training
    aux = 3_326_696 if name == "inception_v3" else 0
    assert sum(p.numel() for p in model.parameters()) + aux == meta["num_params"]
    assert n_parameters(published(name), IMAGENET, 1000) + aux == meta["num_params"]
    counted = flops(model, IMAGENET) / 2
    assert counted / 1e9 == pytest.approx(meta["_ops"], rel=0.005, abs=5e-4)
    assert n_macs(published(name), IMAGENET, 1000) == counted


@pytest.mark.parametrize(
    ("name", "shape"),
    [*((name, CIFAR) for name in ARCHITECTURES if name != "inception_v3"), ("resnet18", GREY), ("squeezenet1_0", GREY)],
)
def test_for_small_pictures_the_constants_are_the_networks_own(name: str, shape: Shape) -> None:
    settings = Torchvision.model_validate({"architecture": name})
    model = on_meta(settings, shape, 7)
    assert model(torch.empty(2, *shape, device="meta")).shape == (2, 7)
    assert n_parameters(settings, shape, 7) == sum(p.numel() for p in model.parameters())
    assert n_macs(settings, shape, 7) == estimate(settings, shape, 7).macs == flops(model, shape) / 2


@pytest.mark.parametrize(("width", "parameters", "mega_macs"), [(1.0, 4_231_976, 569), (0.5, 1_331_592, 149)])
def test_mobilenet_v1_is_that_of_the_paper(width: float, parameters: int, mega_macs: int) -> None:
    settings = MobileNet(width=width, stem="imagenet")
    assert n_parameters(settings, IMAGENET, 1000) == parameters
    assert round(n_macs(settings, IMAGENET, 1000) / 1e6) == mega_macs
    model = on_meta(settings, IMAGENET, 1000)
    assert flops(model, IMAGENET) / 2 == n_macs(settings, IMAGENET, 1000)


CADENES_PORT = 11_295_240
"""Parameters of BN-Inception in pretrained-models.pytorch, with a bias for each convolution."""


def test_inception_bn_is_that_of_the_paper() -> None:
    settings = InceptionBn(stem="imagenet")
    model = on_meta(settings, IMAGENET, 1000)
    convs = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert len(convs) == 69  # of 3 + 8 * 7 + 2 * 5
    assert sum(p.numel() for p in model.parameters()) + sum(c.out_channels for c in convs) == CADENES_PORT
    assert n_parameters(settings, IMAGENET, 1000) == 11_285_224
    assert round(n_macs(settings, IMAGENET, 1000) / 1e9, 2) == 2.03
    assert flops(model, IMAGENET) / 2 == n_macs(settings, IMAGENET, 1000)


def test_inception_bns_modules_put_out_the_channels_of_the_papers_figure() -> None:
    model = on_meta(InceptionBn(stem="imagenet"), IMAGENET, 1000)
    with captured(model, [f"mixed.{name}" for name in ("3a", "3b", "3c", "4a", "4b", "5a", "5b")]) as seen:
        model(torch.empty(2, *IMAGENET, device="meta"))
    assert [tuple(out.shape[1:]) for out in seen.values()] == [
        *((256, 28, 28), (320, 28, 28), (576, 14, 14), (576, 14, 14), (576, 14, 14), (1024, 7, 7), (1024, 7, 7))
    ]


def test_pictures_are_resized_in_front_of_the_network() -> None:
    model = on_meta(Torchvision(architecture="resnet18", size=64), CIFAR, 10)
    seen: list[torch.Size] = []
    assert isinstance(model, TorchvisionNet)
    model.net.register_forward_pre_hook(lambda module, given: seen.append(given[0].shape))
    model(torch.empty(2, 3, 32, 32, device="meta"))
    assert seen == [(2, 3, 64, 64)]


def test_no_activation_works_in_place() -> None:
    model = on_meta(Torchvision(architecture="densenet121"), CIFAR, 10)
    assert not any(getattr(module, "inplace", False) for module in model.modules())


def test_pictures_that_are_too_small_are_refused() -> None:
    with pytest.raises(ConfigError, match="vgg16_bn needs pictures of at least 32x32 pixels, and these have 8x8; set"):
        build_model(Torchvision(architecture="vgg16_bn"), (1, 8, 8), 10)
    assert on_meta(Torchvision(architecture="vgg16_bn", size=32), (1, 8, 8), 10)


@pytest.mark.parametrize(
    ("model", "method", "message"),
    [
        ({"architecture": "inception_v3"}, None, "set model.stem to imagenet and model.size to 299"),
        ({"pretrained": True}, None, "pretrained weights fit the network as published; set model.stem to imagenet"),
        ({}, "batch_norm", "model torchvision has batch norm already"),
        ({}, "pseudo_norm", "model.activation is relu"),
    ],
)
def test_settings_that_do_not_fit_are_refused(model: dict[str, object], method: str | None, message: str) -> None:
    values = {"model": {"name": "torchvision", **model}, "methods": [{"name": method}] if method else []}
    with pytest.raises(ConfigError, match=message):
        parse_config(values)


def test_pretrained_weights_are_kept_but_for_the_output_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    """With torchvision's own network in place of the download."""
    with warnings.catch_warnings():
        stored = models.resnet18(weights=None)
    monkeypatch.setattr(models, "get_model", lambda name, weights: stored)
    settings = Torchvision(architecture="resnet18", stem="imagenet", pretrained=True)
    model = build_model(settings, CIFAR, 10)
    assert isinstance(model, TorchvisionNet)
    assert model.net.get_submodule("layer1.0.conv1") is stored.layer1[0].conv1
    assert model.net.get_submodule("fc").out_features == 10
    with pytest.raises(ConfigError, match="pretrained weights are for pictures of 3 channels, and these have 1"):
        build_model(settings, (1, 32, 32), 10)
