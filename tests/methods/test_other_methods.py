"""Initialisation, clipping, batch norm, and what every method promises."""

import inspect
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gradscope.config import (
    BatchNorm,
    ClipNorm,
    ClipValue,
    Distillation,
    Elastic,
    InceptionBn,
    Initialisation,
    KdAttention,
    KdFitNet,
    KdFsp,
    KdKr,
    KdNst,
    Mlp,
    MobileNet,
    PaperCnn,
    PseudoNorm,
    Resnet,
    RunConfig,
    Settings,
    Torchvision,
    method_classes,
    model_classes,
)
from gradscope.data import Dataset, MiniBatch, Split
from gradscope.errors import ConfigError
from gradscope.methods import Given, Judged, Method, build_methods, cross_entropy, objective_of
from gradscope.methods.build import METHODS
from gradscope.methods.initialisation import SCHEMES, fans
from gradscope.models import build_model
from gradscope.models.build import MODELS


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def adapted(model: nn.Module, *settings: Settings) -> nn.Module:
    for method in build_methods(settings):
        model = method.adapt(model, seeded())
    return model


def of(images: Tensor, labels: Tensor) -> MiniBatch:
    return MiniBatch(images=images, labels=labels, places=torch.arange(len(labels)))


def given_to(model: nn.Module, settings: Settings, methods: list[Settings]) -> Given:
    """Eight random pictures, and as a teacher the same network with other weights."""
    images, labels = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8), torch.arange(8) % 3
    split = Split(images=images, labels=labels)
    return Given(
        model=model,
        config=RunConfig(model=settings, methods=tuple(methods)),
        data=Dataset(
            train=split,
            val=split,
            test=split,
            classes=("a", "b", "c"),
            shape=(1, 8, 8),
            fingerprint="",
            mean=(),
            std=(),
        ),
        normalise=lambda images: images / 255,
        device=torch.device("cpu"),
        generator=seeded(),
        teacher=lambda _: build_model(settings, (1, 8, 8), 3, seed=1).eval().requires_grad_(False),
        rate=lambda: 0.001,
        tell=lambda _: None,
    )


def two_steps(settings: Settings, methods: list[Settings], rate: float = 0.01) -> list[float]:
    """The losses of three steps of SGD on eight fixed random pictures."""
    torch.manual_seed(0)  # what a method draws must not depend on the tests before
    model = build_model(settings, (1, 8, 8), 3, seed=0)
    made = build_methods(methods)
    for method in made:
        model = method.adapt(model, seeded())
    for method in made:
        method.prepare(given_to(model, settings, methods))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    for group in [group for method in made for group in method.parameter_groups()]:
        optimizer.add_param_group(group)
    batch = of(torch.randn(8, 1, 8, 8, generator=seeded(1)), torch.arange(8) % 3)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        for method in made:
            method.at_epoch(model, 3, 4)
            method.before_pass(model, batch)
        judged = objective_of(made)(model, batch)
        judged.loss.backward()
        for method in made:
            method.before_step(model)
        optimizer.step()
        assert judged.logits.shape == (8, 3)
        losses.append(judged.loss.item())
    return losses


SMALL: dict[type[Settings], dict[str, Any]] = {  # Any: settings of any type
    Mlp: {"depth": 5, "width": 12, "activation": "tanh"},
    PaperCnn: {"variant": 1, "activation": "tanh"},
    Resnet: {"depth": 8, "width": 4, "activation": "tanh"},
    MobileNet: {"width": 0.1, "activation": "tanh"},
    InceptionBn: {"width": 0.1, "activation": "tanh"},
    Torchvision: {"architecture": "resnet18"},
}
RATES: dict[type[Settings], float] = {MobileNet: 1e-3, InceptionBn: 1e-3, Torchvision: 1e-3}
REFUSED = {
    (Resnet, BatchNorm): "no activation without a norm in ResNet",
    (MobileNet, BatchNorm): "no activation without a norm in MobileNetV1",
    (InceptionBn, BatchNorm): "no activation without a norm in InceptionBN",
    (Torchvision, BatchNorm): "no activation without a norm in TorchvisionNet",
    (Torchvision, PseudoNorm): "pseudo_norm needs a smooth activation",
    (Mlp, KdNst): "no pixels to look at",
    (Mlp, KdAttention): "no pixels to look at",
}
GENTLE: dict[type[Settings], dict[str, Any]] = {  # weights that suit eight pictures and three steps; Any: as above
    KdFitNet: {"hint_weight": 1},
    KdFsp: {"fsp_weight": 1},
    KdNst: {"nst_weight": 1},
    KdAttention: {"attention_weight": 1},
    KdKr: {"recode_weight": 0.01, "transport_weight": 1e-9},
    Elastic: {"dropout": 0},
}


def test_every_model_and_method_of_the_config_can_be_built_and_has_a_docstring() -> None:
    assert set(MODELS) == set(model_classes().values()) == set(SMALL)
    assert list(METHODS) == list(method_classes().values())
    for thing in [*MODELS.values(), *METHODS.values(), *METHODS, *MODELS]:
        assert inspect.getdoc(thing)


@pytest.mark.parametrize(
    ("model", "method"),
    list(itertools.product(SMALL, METHODS)),
    ids=lambda c: c.__name__ if isinstance(c, type) else "",
)
def test_each_model_trains_two_steps_under_each_method_or_refuses_it(
    model: type[Settings], method: type[Settings]
) -> None:
    settings = model.model_validate(SMALL[model])
    if (model, method) in REFUSED:
        with pytest.raises(ConfigError, match=REFUSED[model, method]):
            two_steps(settings, [method()])
    else:
        losses = two_steps(settings, [method.model_validate(GENTLE.get(method, {}))], RATES.get(model, 0.01))
        assert losses[2] < losses[0]


def test_all_methods_together_train_and_are_applied_in_the_order_of_the_config() -> None:
    given = [settings.model_validate(GENTLE.get(settings, {})) for settings in reversed(METHODS)]
    assert [type(m) for m in build_methods(given)] == list(METHODS.values())
    of_one_loss = [m for m in given if not isinstance(m, Distillation)]
    losses = two_steps(Mlp(depth=4, width=8), of_one_loss)
    assert losses[2] < losses[0]


def test_the_base_method_changes_nothing() -> None:
    model = build_model(Mlp(depth=2, width=3), (1, 2, 2), 2, seed=0)
    images, labels = torch.randn(4, 1, 2, 2), torch.tensor([0, 1, 0, 1])
    method = Method()
    assert method.adapt(model, seeded()) is model
    judged = method.objective(model, of(images, labels))
    torch.testing.assert_close(judged.loss, -judged.logits.log_softmax(1)[range(4), labels].mean())
    judged.loss.backward()
    before = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    method.before_step(model)
    assert all(torch.equal(a, p.grad) for a, p in zip(before, model.parameters(), strict=True))


class _OwnLoss(Method):
    def objective(self, model: nn.Module, batch: MiniBatch) -> Judged:
        judged = cross_entropy(model, batch)
        return Judged(logits=judged.logits, terms={"label": 2 * judged.loss})


def test_one_method_may_own_the_loss_but_not_two() -> None:
    method = _OwnLoss()
    assert objective_of([]) is cross_entropy
    assert objective_of([Method()]) is cross_entropy
    assert objective_of([Method(), method]) == method.objective
    with pytest.raises(ConfigError, match="each bring their own loss; keep one"):
        objective_of([method, _OwnLoss()])


@pytest.mark.parametrize(("shape", "expected"), [((30, 20), (20, 30)), ((30, 20, 3, 3), (180, 270))])
def test_fan_in_and_fan_out_count_the_kernel(shape: tuple[int, ...], expected: tuple[int, int]) -> None:
    assert fans(torch.empty(shape)) == expected


@pytest.mark.parametrize("shape", [(300, 200), (64, 32, 3, 3)])
@pytest.mark.parametrize(
    ("scheme", "variance"),
    [("lecun", lambda i, o: 1 / i), ("xavier", lambda i, o: 2 / (i + o)), ("he", lambda i, o: 2 / i)],
)
def test_a_scheme_draws_with_its_variance(scheme: str, variance: Any, shape: tuple[int, ...]) -> None:
    weight = SCHEMES[scheme](torch.empty(shape), seeded())
    assert weight.shape == shape
    assert weight.var().item() == pytest.approx(variance(*fans(weight)), rel=0.05)
    assert weight.mean().abs() < 0.01


@pytest.mark.parametrize("shape", [(8, 20), (20, 8), (6, 4, 3, 3)])
def test_orthogonal_weights_have_only_singular_values_of_one(shape: tuple[int, ...]) -> None:
    weight = SCHEMES["orthogonal"](torch.empty(shape, dtype=torch.float64), seeded())
    values = torch.linalg.svdvals(weight.flatten(1))
    torch.testing.assert_close(values, torch.ones(min(weight.flatten(1).shape)).double())


def test_gain_multiplies_the_weights_and_bias_std_spreads_the_biases() -> None:
    plain, tripled = (
        adapted(build_model(Mlp(depth=3, width=400), (1, 4, 4), 10), Initialisation(gain=g, bias_std=b))
        for g, b in ((1.0, 0.0), (3.0, 0.5))
    )
    layers = [[m for m in model.modules() if isinstance(m, nn.Linear)] for model in (plain, tripled)]
    torch.testing.assert_close(layers[1][1].weight, 3 * layers[0][1].weight)
    assert layers[0][1].bias.eq(0).all()
    assert layers[1][1].bias.std().item() == pytest.approx(0.5, rel=0.1)


def test_initialisation_is_given_by_its_generator_and_leaves_norms_alone() -> None:
    one, two = (adapted(build_model(Resnet(depth=8, width=4), (1, 8, 8), 3), Initialisation()) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    assert one.norm.weight.eq(1).all()


def test_initialisation_refuses_a_model_without_weights() -> None:
    with pytest.raises(ConfigError, match="no Linear or Conv2d in Tanh"):
        adapted(nn.Tanh(), Initialisation())


def parameter(*gradient: float) -> nn.Module:
    model = nn.Linear(len(gradient), 1, bias=False)
    model.weight.grad = torch.tensor([gradient])
    return model


def test_clip_value_limits_each_element_and_lets_nan_through() -> None:
    model = parameter(-3.0, 0.2, float("nan"), 0.7)
    build_methods([ClipValue(limit=0.5)])[0].before_step(model)
    torch.testing.assert_close(model.weight.grad, torch.tensor([[-0.5, 0.2, torch.nan, 0.5]]), equal_nan=True)


def test_clip_norm_scales_the_whole_gradient_down_but_never_up() -> None:
    (method,) = build_methods([ClipNorm(max_norm=1.0)])
    long, short = parameter(3.0, 4.0), parameter(0.3, 0.4)
    method.before_step(long)
    method.before_step(short)
    torch.testing.assert_close(long.weight.grad, torch.tensor([[0.6, 0.8]]), rtol=1e-5, atol=0)
    torch.testing.assert_close(short.weight.grad, torch.tensor([[0.3, 0.4]]), rtol=1e-5, atol=0)


def test_clipping_skips_parameters_without_a_gradient() -> None:
    model = nn.Linear(2, 2)
    for method in build_methods([ClipValue(), ClipNorm()]):
        method.before_step(model)
    assert model.weight.grad is None


def test_batch_norm_fills_every_empty_slot_before_its_activation() -> None:
    model = adapted(build_model(PaperCnn(), (3, 32, 32), 10), BatchNorm())
    norms = [type(m).__name__ for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert norms == ["BatchNorm2d"] * 8 + ["BatchNorm1d"]


def test_batch_norm_refuses_a_model_that_has_it_already() -> None:
    with pytest.raises(ConfigError, match="no activation without a norm in MLP; leave the method out"):
        adapted(build_model(Mlp(depth=3, width=4, batch_norm=True), (1, 2, 2), 2), BatchNorm())
