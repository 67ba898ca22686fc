"""The second feedback path: the same gradients wherever its entries stand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Mlp, PaperCnn, PseudoNorm, Settings
from gradscope.methods import build_methods
from gradscope.methods.pseudo_norm import PathEntry, PseudoNormalised
from gradscope.models import build_model
from gradscope.models.activations import find_activations

SCOPES = pytest.mark.parametrize("scope", ["sample", "batch"])
NETWORKS = pytest.mark.parametrize(
    ("settings", "shape"),
    [
        (Mlp(depth=7, width=6), (1, 2, 3)),
        (Mlp(depth=7, width=6, residual=True), (1, 2, 3)),
        (Mlp(depth=6, width=5, activation="gelu"), (1, 2, 3)),
        (PaperCnn(variant=1, width=0.125), (3, 8, 8)),
        (PaperCnn(variant=2, width=0.125), (3, 8, 8)),
    ],
    ids=["dense", "shortcuts", "gelu", "model 1", "model 2"],
)


class Looking(nn.Module):
    """A network whose way depends on the values: it cannot be traced, so every entry stands in front of a layer."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.inner(x if bool(x.isfinite().all()) else x.nan_to_num())
        return out


def trained(
    settings: Settings,
    shape: tuple[int, int, int],
    method: PseudoNorm,
    wrapped: Callable[[nn.Module], nn.Module] = lambda model: model,
) -> tuple[nn.Module, list[Tensor]]:
    """A network with the method, and the gradients of all its parameters on four pictures."""
    model = wrapped(build_model(settings, shape, 4, seed=1).double())
    model = build_methods([method])[0].adapt(model, torch.Generator())
    images = torch.randn(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    functional.cross_entropy(model(images), torch.tensor([0, 3, 1, 2])).backward()
    return model, [p.grad for p in model.parameters() if p.grad is not None]


def places(model: nn.Module) -> list[nn.Module]:
    """What stands in the place of each activation, from the input."""
    names = [name.removesuffix(".activation") for name, _ in find_activations(model)]
    return [model.get_submodule(name if name.endswith(".activation") else f"{name}.activation") for name in names]


def kinds(model: nn.Module) -> list[str]:
    """Of each activation: plain, the top of a group, an entry, or a top that is an entry of the group above."""
    names = {PseudoNormalised: "top", PathEntry: "entry"}
    enters = [getattr(m, "entry", None) is not None and type(m) is PseudoNormalised for m in places(model)]
    return [names.get(type(m), "plain") + " and entry" * e for m, e in zip(places(model), enters, strict=True)]


@SCOPES
@NETWORKS
@pytest.mark.parametrize("every", [1, 2, 3])
def test_an_activation_that_is_the_entry_gives_what_an_entry_before_the_layer_gives(
    settings: Settings, shape: tuple[int, int, int], every: int, scope: str
) -> None:
    method = PseudoNorm.model_validate({"form": "dual", "every": every, "scope": scope})
    _, found = trained(settings, shape, method)
    _, expected = trained(settings, shape, method, wrapped=Looking)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-14)


def test_below_each_group_the_activation_is_the_entry_where_it_feeds_nothing_else() -> None:
    model, _ = trained(Mlp(depth=7, width=6), (1, 2, 3), PseudoNorm(form="dual"))
    assert kinds(model) == ["plain", "top and entry", "plain", "top and entry", "plain", "top"]
    model, _ = trained(PaperCnn(width=0.125), (3, 8, 8), PseudoNorm(form="dual"))
    assert kinds(model) == ["entry", *["plain", "top and entry"] * 3, "plain", "top"]
    model, _ = trained(Mlp(depth=6, width=6, residual=True), (1, 2, 3), PseudoNorm(form="dual"))
    assert kinds(model) == ["plain", "plain", "top", "plain", "top"]


def test_a_compiled_network_with_shortcuts_has_the_same_gradients() -> None:
    settings, method = Mlp(depth=7, width=6, residual=True), PseudoNorm(form="dual", scope="batch")
    _, expected = trained(settings, (1, 2, 3), method)
    model = build_methods([method])[0].adapt(build_model(settings, (1, 2, 3), 4, seed=1).double(), torch.Generator())
    images = torch.randn(4, 1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    functional.cross_entropy(compiled(images), torch.tensor([0, 3, 1, 2])).backward()
    for one, other in zip([p.grad for p in model.parameters() if p.grad is not None], expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-13)


@NETWORKS
def test_a_second_backward_pass_through_the_same_graph_gives_the_same(
    settings: Settings, shape: tuple[int, int, int]
) -> None:
    model = build_methods([PseudoNorm(form="dual")])[0].adapt(
        build_model(settings, shape, 4, seed=1), torch.Generator()
    )
    loss = functional.cross_entropy(model(torch.ones(4, *shape)), torch.tensor([0, 3, 1, 2]))
    once, again = (torch.autograd.grad(loss, list(model.parameters()), retain_graph=True) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(once, again, strict=True))


@pytest.mark.gpu
@NETWORKS
@pytest.mark.parametrize("form", ["direct", "dual"])
def test_on_a_gpu_the_gradients_are_those_of_the_cpu(
    settings: Settings, shape: tuple[int, int, int], form: str
) -> None:
    method = PseudoNorm.model_validate({"form": form})
    _, expected = trained(settings, shape, method)
    model = build_methods([method])[0].adapt(build_model(settings, shape, 4, seed=1).double(), torch.Generator())
    images = torch.randn(4, *shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 3, 1, 2], device="cuda")
    functional.cross_entropy(model.cuda()(images.cuda()), labels).backward()
    for one, other in zip([p.grad for p in model.parameters() if p.grad is not None], expected, strict=True):
        torch.testing.assert_close(one.cpu(), other, rtol=1e-9, atol=1e-12)


def test_there_is_no_second_derivative() -> None:
    model, _ = trained(Mlp(depth=5, width=4), (1, 2, 2), PseudoNorm(form="dual"))
    first = torch.autograd.grad(
        model(torch.ones(2, 1, 2, 2).double()).square().sum(), next(model.parameters()), create_graph=True
    )
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first[0].sum().backward()


def test_who_listens_is_told_the_gain_in_each_backward_pass() -> None:
    model = build_methods([PseudoNorm(form="dual")])[0].adapt(
        build_model(Mlp(depth=5, width=6), (1, 2, 3), 4, seed=1).double(), torch.Generator()
    )
    tops = [m for m in model.modules() if isinstance(m, PseudoNormalised)]
    outputs: dict[int, Tensor] = {}
    told: dict[int, list[tuple[float, float]]] = {0: [], 1: []}
    for i, top in enumerate(tops):
        top.register_forward_hook(lambda _, __, y, i=i: outputs.__setitem__(i, y.detach()))
        top.gain_listeners.append(lambda gain, share, i=i: told[i].append((gain.item(), share.item())))
    loss = model(torch.randn(5, 1, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))).sum()
    assert told == {0: [], 1: []}
    loss.backward(retain_graph=True)
    loss.backward()
    for i, y in outputs.items():
        slope = 1 - y**2
        gains = 1 / slope.square().mean(1, keepdim=True).sqrt()
        expected = (gains.mean().item(), (slope * gains > 1).double().mean().item())
        assert told[i] == [pytest.approx(expected, rel=1e-6)] * 2
