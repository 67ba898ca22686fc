"""The second feedback path: the same gradients wherever its entries stand."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Elastic, KdHinton, KdNst, Mlp, PaperCnn, PseudoNorm, Settings
from gradscope.data import MiniBatch
from gradscope.methods import build_methods
from gradscope.methods.pseudo_norm import PathEntry, PseudoNormalised, PseudoNormMethod
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


def with_exits(form: str, exits: str, depth: int) -> tuple[nn.Module, dict[str, Tensor]]:
    """A network with early exits, and the terms of its loss."""
    settings = PseudoNorm.model_validate({"form": form, "scope": "batch"})
    model = build_model(Mlp(depth=depth, width=6), (1, 2, 3), 4, seed=1).double()
    generator = torch.Generator().manual_seed(0)
    methods = build_methods([settings, Elastic(exits=exits, dropout=0)])
    for method in methods:
        model = method.adapt(model, generator).double()
    images = torch.randn(4, 1, 2, 3, dtype=torch.float64, generator=generator)
    batch = MiniBatch(images=images, labels=torch.tensor([0, 3, 1, 2]), places=torch.arange(4))
    return model, dict(methods[1].objective(model, batch).terms)


def test_the_error_of_an_early_exit_above_a_group_leaves_it_the_same_in_both_forms() -> None:
    """The exits stand behind the tops of two groups, the first layer below all groups."""
    found = []
    for form in ("direct", "dual"):
        model, terms = with_exits(form, "hidden.2,hidden.4", depth=8)
        first = next(p for name, p in model.named_parameters() if name.endswith("hidden.0.layer.weight"))
        found.append(torch.autograd.grad(sum(terms.values()), first)[0])
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=0)


@pytest.mark.parametrize("exits", ["hidden.0,hidden.2,hidden.4", "blocks"])
def test_the_gradients_of_the_terms_add_up_to_that_of_their_sum_in_any_order(exits: str) -> None:
    model, terms = with_exits("dual", exits, depth=7)
    layers = [p for name, p in model.named_parameters() if "backbone.hidden" in name]

    def split() -> list[Tensor]:
        parts = [torch.autograd.grad(term, layers, retain_graph=True, allow_unused=True) for term in terms.values()]
        return [sum(g for g in grads if g is not None) for grads in zip(*parts, strict=True)]

    before = split()
    whole = torch.autograd.grad(sum(terms.values()), layers, retain_graph=True)
    for part, again, all_ in zip(before, split(), whole, strict=True):
        torch.testing.assert_close(part, all_, rtol=1e-11, atol=1e-15)
        torch.testing.assert_close(again, all_, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize(
    ("other", "entries"), [(Elastic(), 0), (KdNst(teacher_model="mlp"), 0), (KdHinton(teacher_model="mlp"), 2)]
)
def test_an_activation_is_no_entry_where_another_method_judges_hidden_layers(other: Settings, entries: int) -> None:
    method = next(m for m in build_methods([other, PseudoNorm(form="dual")]) if isinstance(m, PseudoNormMethod))
    model = method.adapt(build_model(Mlp(depth=7, width=6), (1, 2, 3), 4), torch.Generator())
    assert kinds(model).count("top and entry") == entries


def test_below_a_part_in_eval_mode_nothing_is_amplified_and_above_it_all() -> None:
    """As when somebody freezes the lower blocks of a network."""
    found = {}
    for frozen in (0, 2, 3):
        model, _ = trained(Mlp(depth=7, width=6), (1, 2, 3), PseudoNorm(form="dual"))
        model.zero_grad()
        for name, block in model.named_modules():
            if name in {f"hidden.{i}" for i in range(frozen)}:
                block.eval()
        functional.cross_entropy(model(torch.ones(4, 1, 2, 3).double()), torch.tensor([0, 3, 1, 2])).backward()
        found[frozen] = [p.grad for name, p in model.named_parameters() if name.endswith("weight")]
    for part in (2, 3):
        for one, other in zip(found[0][3:], found[part][3:], strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=0)
        assert found[part][0].norm() < found[0][0].norm()


def test_an_entry_before_a_layer_leaves_the_error_that_others_hold_as_it_is() -> None:
    model = build_methods([PseudoNorm(form="dual")])[0].adapt(
        build_model(Mlp(depth=6, width=6, residual=True), (1, 2, 3), 4, seed=1), torch.Generator()
    )
    held: list[tuple[Tensor, Tensor]] = []
    for layer in model.modules():
        if isinstance(layer, nn.Linear):
            layer.register_full_backward_hook(lambda _, errors, __: held.append((errors[0], errors[0].clone())))
    model(torch.randn(4, 1, 2, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()).sum().backward()
    assert len(held) == 6
    assert all(torch.equal(now, then) for now, then in held)


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
