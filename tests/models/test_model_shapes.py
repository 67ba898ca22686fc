"""The networks give logits of the right shape on every kind of picture, and have the parameters of the literature."""

import subprocess
import sys
from typing import get_args

import pytest
import torch
from torch import nn

from gradscope.config import (
    Activation,
    BatchNorm,
    Elastic,
    InceptionBn,
    Mlp,
    MobileNet,
    PaperCnn,
    Resnet,
    Settings,
    Torchvision,
    model_classes,
)
from gradscope.models import build_model, estimate
from gradscope.models.activations import ACTIVATIONS, find_activations, make_activation
from gradscope.models.blocks import NormSlot
from gradscope.models.resnet import PadShortcut
from gradscope.models.sizes import Shape, n_macs, n_parameters
from gradscope.models.sizes_exits import head_parameters

DIGITS, GREY, COLOUR, RADAR = (1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 11, 61)
MODELS: list[Settings] = [
    Mlp(depth=2, width=5),
    Mlp(depth=6, width=16, residual=True),
    Mlp(depth=4, width=8, batch_norm=True),
    PaperCnn(variant=1),
    PaperCnn(variant=2),
    PaperCnn(variant=3),
    PaperCnn(variant=2, width=0.3),
    Resnet(depth=8),
    Resnet(depth=20, width=4),
    MobileNet(width=0.25),
    MobileNet(width=0.5, stem="imagenet", size=40),
    InceptionBn(width=0.1),
    InceptionBn(width=0.2, stem="imagenet", size=41),
    Torchvision(architecture="resnet18", size=32),
    Torchvision(architecture="mobilenet_v3_small", size=32),
]
OWN = [settings for settings in MODELS if not isinstance(settings, Torchvision)]
"""Torchvision's networks share activations, and list them as they like."""


def trainable(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def test_every_model_of_the_config_is_tried_here() -> None:
    assert {type(m) for m in MODELS} == set(model_classes().values())


@pytest.mark.parametrize("shape", [DIGITS, GREY, COLOUR, RADAR], ids=str)
@pytest.mark.parametrize("settings", MODELS, ids=repr)
def test_a_model_gives_one_logit_a_class_and_has_the_predicted_size(settings: Settings, shape: Shape) -> None:
    with torch.device("meta"):
        model = build_model(settings, shape, 7)
        logits = model(torch.empty(2, *shape))
    assert logits.shape == (2, 7)
    assert trainable(model) == n_parameters(settings, shape, 7)


@pytest.mark.parametrize("shape", [DIGITS, COLOUR, RADAR], ids=str)
@pytest.mark.parametrize("settings", MODELS, ids=repr)
def test_multiply_accumulates_by_arithmetic_are_those_of_the_network(settings: Settings, shape: Shape) -> None:
    assert n_macs(settings, shape, 7) == estimate(settings, shape, 7).macs


@pytest.mark.parametrize("settings", [Mlp(depth=6, width=16), PaperCnn(variant=1), PaperCnn(variant=2)], ids=repr)
def test_the_predicted_size_includes_the_norms_of_the_batch_norm_method(settings: Settings) -> None:
    expected = estimate(settings, COLOUR, 10, methods=(BatchNorm(),)).n_parameters
    assert n_parameters(settings, COLOUR, 10, batch_norm_method=True) == expected > n_parameters(settings, COLOUR, 10)


@pytest.mark.parametrize(
    ("variant", "classes", "layers", "mega_macs"),
    [
        (1, 10, [896, 9248, 18496, 36928, 73856, 147584, 147584, 147584, 524544, 2570], 43.9),
        (2, 10, [1792, 73856, 221376, 442624, 2097664, 131328, 65792, 32896, 16512, 1290], 44.2),
        (3, 100, [2688, 166080, 442624, 885120, 1769984, 8389632, 524800, 262656, 131328, 25700], 125.2),
    ],
)
def test_paper_cnn_has_the_layers_we_propose(variant: int, classes: int, layers: list[int], mega_macs: float) -> None:
    settings = PaperCnn.model_validate({"variant": variant})
    with torch.device("meta"):
        model = build_model(settings, COLOUR, classes)
    sizes = [trainable(m) for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert sizes == layers
    assert len(list(find_activations(model))) == 9
    cost = estimate(settings, COLOUR, classes)
    assert cost.n_parameters == sum(layers)
    assert round(cost.macs / 1e6, 1) == mega_macs


@pytest.mark.parametrize(
    ("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_resnet_has_the_parameters_of_the_literature(depth: int, parameters: int) -> None:
    settings = Resnet.model_validate({"depth": depth})
    with torch.device("meta"):
        model = build_model(settings, COLOUR, 10)
    assert trainable(model) == parameters == n_parameters(settings, COLOUR, 10)
    on_main_path = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(on_main_path) == depth


def test_resnet_20_costs_what_the_literature_says() -> None:
    assert estimate(Resnet(depth=20), COLOUR, 10).macs == pytest.approx(40.6e6, rel=0.01)


@pytest.mark.parametrize("settings", OWN, ids=repr)
def test_activations_are_never_shared_and_never_in_place(settings: Settings) -> None:
    with torch.device("meta"):
        model = build_model(settings.model_copy(update={"activation": "relu"}), COLOUR, 10)
    calls = [m for m in model.modules() if isinstance(m, nn.ReLU)]
    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    assert len(calls) == len(layers) - 1  # modules() lists a shared module once
    assert not any(m.inplace for m in calls)


def test_every_activation_of_the_config_is_made_anew_each_time() -> None:
    assert set(ACTIVATIONS) == set(get_args(Activation))
    for name in ACTIVATIONS:
        assert make_activation(name) is not make_activation(name)


def test_a_norm_slot_lets_everything_through_until_it_is_filled() -> None:
    slot = NormSlot(nn.Conv2d(3, 8, 3))
    x = torch.randn(2, 8, 4, 4)
    assert slot(x) is x
    assert isinstance(slot.batch_norm(), nn.BatchNorm2d)
    assert isinstance(NormSlot(nn.Linear(3, 8)).batch_norm(), nn.BatchNorm1d)


def test_residual_mlp_adds_each_hidden_layers_input_from_the_second_on() -> None:
    model = build_model(Mlp(depth=4, width=6, residual=True), DIGITS, 3, seed=1).double()
    x = torch.randn(5, 1, 8, 8, dtype=torch.float64)
    linears = [m for m in model.modules() if isinstance(m, nn.Linear)]
    a = torch.tanh(linears[0](x.flatten(1)))
    for linear in linears[1:-1]:
        a = a + torch.tanh(linear(a))
    torch.testing.assert_close(model(x), linears[-1](a), rtol=0, atol=1e-14)


def test_resnet_shortcut_takes_every_second_pixel_and_pads_channels_with_zeros() -> None:
    x = torch.arange(2 * 3 * 3, dtype=torch.float32).reshape(1, 2, 3, 3)
    out = PadShortcut(2, 4, stride=2)(x)
    assert out.shape == (1, 4, 2, 2)
    assert out[0, 0].eq(0).all()
    assert out[0, 3].eq(0).all()
    assert out[0, 1].tolist() == [[0, 2], [6, 8]]


def test_a_seed_gives_the_same_weights_and_leaves_the_global_random_state_alone() -> None:
    state = torch.get_rng_state()
    one, two, other = (build_model(Mlp(depth=3, width=4), DIGITS, 2, seed=s) for s in (5, 5, 6))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.output.weight, two.output.weight)
    assert not torch.equal(one.output.weight, other.output.weight)


def order_of_use(model: nn.Module) -> list[str]:
    used: list[str] = []
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            module.register_forward_hook(lambda m, i, o, name=name: used.append(name))
    model(torch.zeros(1, *COLOUR))
    return used


def test_modules_are_listed_in_the_order_of_the_forward_pass() -> None:
    for settings in MODELS:
        model = build_model(settings, COLOUR, 10)
        listed = [n for n, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
        assert order_of_use(model.eval()) == listed


def test_counting_parameters_needs_no_torch() -> None:
    code = (
        "import sys; from gradscope.models.sizes import n_parameters; from gradscope.config import Resnet;"
        "print(n_parameters(Resnet(), (3, 32, 32), 10), 'torch' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["269722", "False"]


def test_an_estimate_leaves_the_model_settings_and_the_random_state_alone() -> None:
    state = torch.get_rng_state()
    assert estimate(Mlp(depth=3, width=4), DIGITS, 2).n_parameters == 64 * 4 + 4 + 4 * 4 + 4 + 4 * 2 + 2
    assert estimate(Mlp(depth=3, width=4), DIGITS, 2).macs == 64 * 4 + 4 * 4 + 4 * 2
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("settings", "exits"),
    [
        (Resnet(depth=14, width=4), Elastic()),
        (Resnet(depth=20, width=4), Elastic(every=2)),
        (MobileNet(width=0.25), Elastic()),
        (Torchvision(architecture="resnet18"), Elastic()),
        (Torchvision(architecture="resnet50"), Elastic()),
        (Torchvision(architecture="resnet50"), Elastic(exits="five")),
        (Torchvision(architecture="densenet121"), Elastic()),
        (Torchvision(architecture="vgg16_bn"), Elastic()),
    ],
    ids=repr,
)
def test_the_heads_of_an_elastic_network_are_counted_without_torch(settings: Settings, exits: Elastic) -> None:
    whole = estimate(settings, COLOUR, 7, methods=(exits,)).n_parameters
    assert head_parameters(exits, settings, 7) == whole - n_parameters(settings, COLOUR, 7)


def test_heads_at_named_places_are_known_to_torch_alone() -> None:
    assert head_parameters(Elastic(exits="stages.0"), Resnet(depth=14), 7) is None
    assert head_parameters(Elastic(), Mlp(), 7) is None
