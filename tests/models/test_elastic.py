"""Exits: where they attach, what they answer, and that leaving early gives the answers of the whole network."""

import copy
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from gradscope.config import Mlp, MobileNet, PaperCnn, Resnet, Settings, Torchvision
from gradscope.errors import ConfigError
from gradscope.models import build_model
from gradscope.models.budgets import At, Confidence, Entropy, Macs, Milliseconds, Parameters, entropy
from gradscope.models.costs import count_macs
from gradscope.models.early_exit import Pieces, predict
from gradscope.models.elastic import ElasticNetwork, ExitHead
from gradscope.models.exit_points import exit_points, output_shapes, own_heads

CIFAR, DIGITS = (3, 32, 32), (1, 8, 8)
SMALL: list[Settings] = [
    Resnet(depth=14, width=4),
    MobileNet(width=0.1),
    Mlp(depth=5, width=12),
    Torchvision(architecture="resnet18", size=16),
    Torchvision(architecture="mobilenet_v3_small"),
]


def elastic(
    settings: Settings, where: str = "paper", shape: tuple[int, int, int] = DIGITS, every: int = 1
) -> ElasticNetwork:
    backbone = build_model(settings, shape, 5, seed=0)
    torch.manual_seed(1)
    points = exit_points(backbone, shape, where, every)
    return ElasticNetwork(backbone, points, in_shape=shape, n_classes=5).eval()


def trained_a_little(network: ElasticNetwork) -> ElasticNetwork:
    """With statistics of batch norms and heads that are not all alike, so that pictures differ in confidence."""
    network.train()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(1.5)
        for _ in range(3):
            network.exits(pictures(40))
    return network.eval()


def pictures(n: int, shape: tuple[int, int, int] = DIGITS) -> Tensor:
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(n))


def published(name: str, size: int = 224) -> Torchvision:
    return Torchvision.model_validate({"architecture": name, "stem": "imagenet", "size": size})


@pytest.mark.parametrize(
    ("settings", "where", "intermediate"),
    [
        (published("resnet18"), "paper", 7),
        (published("resnet34"), "paper", 15),
        (published("resnet50"), "paper", 15),
        (published("resnet50"), "five", 4),
        (published("densenet121"), "paper", 3),
        (published("densenet169"), "paper", 3),
        (published("inception_v3", 299), "paper", 10),
        (published("vgg16_bn"), "paper", 4),
        (published("squeezenet1_0"), "paper", 7),
        (MobileNet(stem="imagenet"), "paper", 12),
        (MobileNet(stem="imagenet"), "blocks.3, blocks.6, blocks.9", 3),
        (Resnet(depth=20), "paper", 8),
        (Resnet(depth=20), "stages", 2),
        (published("mobilenet_v2"), "paper", 18),
        (Mlp(depth=6), "paper", 4),
    ],
    ids=lambda value: getattr(value, "architecture", getattr(value, "name", value)),
)
def test_there_are_as_many_exits_as_in_the_paper(settings: Settings, where: str, intermediate: int) -> None:
    with torch.device("meta"):
        backbone = build_model(settings, (3, 224, 224), 100)
        points = exit_points(backbone, (3, 224, 224), where)
        network = ElasticNetwork(backbone, points, in_shape=(3, 224, 224), n_classes=100)
    assert len(points) == intermediate
    assert network.n_exits == intermediate + 1
    assert [tuple(e.shape) for e in network.exits(torch.empty(2, 3, 224, 224, device="meta"))] == [(2, 100)] * (
        intermediate + 1
    )


@pytest.mark.parametrize(
    ("settings", "maps"),
    [
        (published("densenet121"), [(128, 28, 28), (256, 14, 14), (512, 7, 7)]),
        (published("densenet169"), [(128, 28, 28), (256, 14, 14), (640, 7, 7)]),
        (published("vgg16_bn"), [(64, 112, 112), (128, 56, 56), (256, 28, 28), (512, 14, 14)]),
        (
            published("squeezenet1_0"),
            [*[(128, 54, 54)] * 2, (256, 54, 54), (256, 27, 27), *[(384, 27, 27)] * 2, (512, 27, 27)],
        ),
        (
            published("inception_v3", 299),
            [(256, 35, 35), *[(288, 35, 35)] * 2, *[(768, 17, 17)] * 5, (1280, 8, 8), (2048, 8, 8)],
        ),
    ],
    ids=lambda value: getattr(value, "architecture", ""),
)
def test_the_maps_behind_which_exits_sit_are_the_papers(settings: Settings, maps: list[tuple[int, ...]]) -> None:
    with torch.device("meta"):
        backbone = build_model(settings, (3, 224, 224), 10)
        shapes = output_shapes(backbone, (3, 224, 224))
    assert [shapes[name] for name in exit_points(backbone, (3, 224, 224), "paper")] == maps


def test_the_first_exit_of_mobilenet_is_that_of_the_papers_figure() -> None:
    with torch.device("meta"):
        backbone = build_model(MobileNet(stem="imagenet"), (3, 224, 224), 100)
        points = exit_points(backbone, (3, 224, 224), "paper")
        network = ElasticNetwork(backbone, points, in_shape=(3, 224, 224), n_classes=100)
    assert output_shapes(backbone, (3, 224, 224))[points[0]] == (64, 112, 112)
    assert [type(part) for part in network.heads[0]] == [nn.AdaptiveAvgPool2d, nn.Flatten, nn.Dropout, nn.Linear]
    assert network.heads[0][2].p == 0.2
    assert network.heads[0][3].weight.shape == (100, 64)


def test_inception_keeps_its_own_auxiliary_head_on_pictures_of_299() -> None:
    with torch.device("meta"):
        for size, kinds in ((299, ["InceptionAux"]), (75, [])):
            backbone = build_model(published("inception_v3", size), CIFAR, 10)
            points = exit_points(backbone, CIFAR, "paper")
            heads = own_heads(points, output_shapes(backbone, CIFAR), 10)
            assert [type(head).__name__ for head in heads.values()] == kinds
            network = ElasticNetwork(backbone, points, in_shape=CIFAR, n_classes=10, heads=heads)
            assert {e.shape for e in network.exits(torch.empty(2, *CIFAR, device="meta"))} == {(2, 10)}


def test_every_nth_block_has_an_exit() -> None:
    points = elastic(Resnet(depth=14, width=4), "blocks", every=2).points
    assert points == ("stages.0.1", "stages.1.1")


def test_heads_are_parameters_and_the_backbone_answers_as_before() -> None:
    plain = build_model(Resnet(depth=8, width=4), DIGITS, 5, seed=0).eval()
    network = ElasticNetwork(copy.deepcopy(plain), ["stages.0.0", "stages.1.0"], in_shape=DIGITS, n_classes=5).eval()
    named = dict(network.named_parameters())
    assert named["heads.0.3.weight"].shape == (5, 4)
    assert named["heads.1.3.weight"].shape == (5, 8)
    torch.testing.assert_close(network(pictures(6)), plain(pictures(6)), rtol=0, atol=0)
    first, _, last = network.exits(pictures(6))
    inner = torch.nn.functional.relu(plain.norm(plain.conv(pictures(6))))
    expected = network.heads[0][3](plain.stages[0](inner).mean(dim=(2, 3)))
    torch.testing.assert_close(first, expected)
    torch.testing.assert_close(last, plain(pictures(6)), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        (["stages.0.0.shortcut", "nowhere"], "no exit can sit behind 'nowhere' of ResNet"),
        ([], ""),
    ],
)
def test_an_exit_needs_a_module_that_puts_out_one_map(points: list[str], message: str) -> None:
    backbone = build_model(Resnet(depth=8, width=4), DIGITS, 5)
    if not message:
        assert ElasticNetwork(backbone, points, in_shape=DIGITS, n_classes=5).n_exits == 1
        return
    with pytest.raises(ConfigError, match=message):
        ElasticNetwork(backbone, points, in_shape=DIGITS, n_classes=5)


def test_a_rule_that_finds_nothing_says_what_can_be_named() -> None:
    backbone = build_model(Resnet(depth=8, width=4), DIGITS, 5)
    with pytest.raises(ConfigError, match="ResNet has no place for an exit by the rule stages, every 9; name modules"):
        exit_points(backbone, DIGITS, "stages", every=9)
    with pytest.raises(
        ConfigError, match="has no module 'stage'; use paper, blocks, stages, five or names such as conv"
    ):
        exit_points(backbone, DIGITS, "stage")


@pytest.mark.parametrize("settings", SMALL, ids=repr)
def test_leaving_early_answers_as_running_everything_and_taking_the_same_exit(settings: Settings) -> None:
    network = trained_a_little(elastic(settings))
    images = pictures(30)
    with torch.no_grad():
        every = torch.stack(network.exits(images))
    pieces = Pieces(network)
    for exit_ in range(network.n_exits):
        found = pieces.predict(images, At(exit_))
        assert found.exits.eq(exit_).all()
        torch.testing.assert_close(found.logits, every[exit_], rtol=1e-5, atol=1e-5)
    sure = every.softmax(2).amax(2)
    middle = float(sure[0].quantile(0.7))
    found = pieces.predict(images, Confidence(middle))
    first = torch.where((sure >= middle).any(0), (sure >= middle).float().argmax(0), network.n_exits - 1)
    assert found.exits.tolist() == first.tolist()
    assert len(first.unique()) > 1
    torch.testing.assert_close(found.logits, every[first, torch.arange(30)], rtol=1e-5, atol=1e-5)


def test_low_entropy_leaves_first() -> None:
    network = trained_a_little(elastic(Resnet(depth=8, width=4)))
    with torch.no_grad():
        entropies = entropy(torch.stack(network.exits(pictures(30))))
    limit = float(entropies[0].median())
    found = predict(network, pictures(30), Entropy(limit))
    assert torch.equal(found.exits == 0, entropies[0] <= limit)
    assert entropy(torch.zeros(4)).item() == pytest.approx(torch.tensor(4.0).log().item())


def test_what_lies_behind_the_exit_is_not_run_for_a_picture_that_left() -> None:
    network = elastic(Resnet(depth=8, width=4))
    seen: dict[str, int] = {}
    for name in ("stages.0.0", "stages.1.0", "stages.2.0"):
        module = network.backbone.get_submodule(name)
        module.register_forward_pre_hook(lambda module, given, name=name: seen.__setitem__(name, len(given[0])))
    with torch.no_grad():
        sure = network.exits(pictures(20))[0].softmax(1).amax(1)
    seen.clear()
    limit = float(sure.sort().values[12])
    found = predict(network, pictures(20), Confidence(limit))
    assert int((found.exits == 0).sum()) == 8
    assert seen["stages.0.0"] == 20
    assert seen["stages.1.0"] == 12
    seen.clear()
    predict(network, pictures(20), At(0))
    assert seen == {"stages.0.0": 20}


def test_costs_are_those_of_the_network_that_ends_at_the_exit() -> None:
    network = elastic(Resnet(depth=8, width=4))
    costs = Pieces(network).costs
    cut = copy.deepcopy(network.backbone)
    cut.stages, cut.output = cut.stages[:1], network.heads[0][3]
    assert costs[0].macs == count_macs(cut, pictures(1))
    assert costs[0].parameters == sum(p.numel() for p in cut.parameters())
    assert costs[-1].macs == count_macs(network.backbone, pictures(1))
    assert costs[-1].parameters == sum(p.numel() for p in network.backbone.parameters())
    heads = [5 * channels for channels in (4, 8)]
    assert [c.macs_asking - c.macs for c in costs] == [0, heads[0], sum(heads)]


@pytest.mark.parametrize("budget", [Macs, Parameters], ids=lambda kind: kind.__name__)
def test_a_budget_takes_the_deepest_exit_it_can_pay(budget: type) -> None:
    network = elastic(MobileNet(width=0.1))
    costs = [getattr(cost, budget.__name__.lower()) for cost in Pieces(network).costs]
    assert predict(network, pictures(3), budget(costs[4])).exits.tolist() == [4, 4, 4]
    assert predict(network, pictures(3), budget(costs[4] - 1)).exits.tolist() == [3, 3, 3]
    assert predict(network, pictures(3), budget(1e12)).exits.tolist() == [12, 12, 12]
    with pytest.raises(ConfigError, match=r"is below the .* of the first exit; raise it"):
        predict(network, pictures(3), budget(costs[0] - 1))


def test_a_budget_of_time_takes_the_deepest_exit_that_was_fast_enough() -> None:
    pieces = Pieces(elastic(Resnet(depth=8, width=4)))
    times = pieces.latencies(pictures(4))
    assert len(times) == 3
    deepest = max(i for i, time in enumerate(times) if time <= times[1])
    assert pieces.predict(pictures(4), Milliseconds(times[1])).exits.tolist() == [deepest] * 4
    assert pieces.predict(pictures(4), Milliseconds(1e6)).exits.tolist() == [2] * 4


def test_a_network_without_a_batch_axis_to_follow_says_so() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            x = x.flatten(1)
            return self.two(self.one(x)) if x.sum() > 0 else self.two(x)

    network = ElasticNetwork(Odd(), [], in_shape=(1, 2, 2), n_classes=2)
    network.points, network.heads = ("one",), nn.ModuleList([ExitHead((4,), 2, 0.0)])
    with pytest.raises(ConfigError, match=r"Odd cannot be cut behind its exits: .*; ask for all exits instead"):
        Pieces(network)


def test_exits_within_each_other_cannot_be_left_early() -> None:
    backbone = build_model(Resnet(depth=14, width=4), DIGITS, 5)
    network = ElasticNetwork(backbone, ["stages.0", "stages.0.0"], in_shape=DIGITS, n_classes=5)
    assert len(network.exits(pictures(2))) == 3
    with pytest.raises(ConfigError, match=r"a pass cannot stop behind each of stages\.0, stages\.0\.0"):
        Pieces(network)


def test_the_paper_cnn_has_exits_too() -> None:
    assert elastic(PaperCnn(), shape=CIFAR).n_exits > 2


def test_the_program_of_the_doc_runs(capsys: pytest.CaptureFixture[str]) -> None:
    doc = (Path(__file__).parents[2] / "docs" / "elastic.md").read_text()
    (program,) = re.findall(r"^```python\n(.*?)^```", doc, flags=re.M | re.S)
    names: dict[str, object] = {}
    exec(program, names)
    assert [tuple(e.shape) for e in names["everything"]] == [(8, 10)] * 4  # type: ignore[attr-defined]
    assert capsys.readouterr().out.startswith("tensor([")
