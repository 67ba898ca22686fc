"""Which layers of two networks correspond, and that looking at them leaves no trace."""

import pytest
import torch
from torch import nn

from gradscope.config import InceptionBn, Mlp, PaperCnn, Resnet, Torchvision
from gradscope.errors import ConfigError
from gradscope.methods.features import (
    all_points,
    captured,
    checked,
    corresponding,
    evenly,
    named_pairs,
    pixels_misfit,
    same_size,
    stage_ends,
    stem,
)
from gradscope.methods.kd_fsp import channels_misfit
from gradscope.models import build_model


def net(settings, shape=(1, 8, 8)):
    return build_model(settings, shape, 3, seed=0)


RESNET, CNN, MLP = Resnet(depth=8, width=4), PaperCnn(variant=1), Mlp(depth=5, width=7)


def hooks(model):
    return sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())


def test_outputs_are_captured_with_their_graph_and_no_hook_stays():
    model = net(RESNET)
    x = torch.randn(2, 1, 8, 8)
    with captured(model, ["stages.1", "activation"]) as seen:
        model(x)
    assert {name: tuple(t.shape) for name, t in seen.items()} == {"activation": (2, 4, 8, 8), "stages.1": (2, 8, 4, 4)}
    seen["stages.1"].sum().backward()
    assert model.conv.weight.grad is not None
    assert model.output.weight.grad is None
    assert hooks(model) == 0


def test_hooks_are_gone_even_if_the_pass_fails():
    model = net(RESNET)
    with pytest.raises(RuntimeError), captured(model, ["conv"]):
        model(torch.randn(2, 5, 8, 8))
    assert hooks(model) == 0


def test_looking_for_points_changes_nothing_of_a_network():
    model = net(RESNET).train()
    before = {name: t.clone() for name, t in model.state_dict().items()}
    all_points(model, (1, 8, 8))
    assert model.training
    assert model.norm.training
    assert hooks(model) == 0
    assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


@pytest.mark.parametrize(
    ("settings", "ends", "first"),
    [
        (RESNET, [("stages.0", (4, 8, 8)), ("stages.1", (8, 4, 4)), ("stages.2", (16, 2, 2))], "activation"),
        (CNN, [("conv.1", (32, 8, 8)), ("conv.3", (64, 4, 4)), ("conv.5", (128, 2, 2)), ("conv", (128, 1, 1))], None),
        (MLP, [(f"hidden.{i}", (7,)) for i in range(4)], "hidden.0.activation"),
    ],
)
def test_the_ends_of_the_stages(settings, ends, first):
    model = net(settings)
    points = all_points(model, (1, 8, 8))
    found = [(p.name, p.shape) for p in stage_ends(model, points)]
    assert [shape for _, shape in found] == [shape for _, shape in ends]
    assert [name for name, _ in found][:3] == [name for name, _ in ends][:3]
    if first:
        assert stem(model, points).name == first


@pytest.mark.parametrize(
    ("settings", "ends", "first"),
    [
        (
            Torchvision(architecture="resnet50", stem="imagenet"),
            ["net.relu (64x32x32)"] + [f"net.layer{i + 1} ({256 << i}x{16 >> i}x{16 >> i})" for i in range(4)],
            "net.relu",
        ),
        (
            InceptionBn(width=0.25, stem="imagenet"),
            ["stem.conv1 (16x32x32)", "stem.conv2 (48x16x16)"]
            + [f"mixed.{name}" for name in ("3b (80x8x8)", "4d (152x4x4)", "5b (256x2x2)")],
            "stem.conv1.activation",
        ),
    ],
    ids=["resnet50", "inception_bn"],
)
def test_the_ends_of_the_stages_of_larger_networks_are_on_the_main_path(settings, ends, first):
    model = net(settings, (3, 64, 64))
    points = all_points(model, (3, 64, 64))
    assert [str(p) for p in stage_ends(model, points)] == ends
    assert stem(model, points).name == first


def test_networks_of_other_depths_are_compared_at_the_same_relative_depth():
    student = stage_ends(net(MLP), all_points(net(MLP), (1, 8, 8)))
    deep = net(Mlp(depth=13, width=7))
    pairs = corresponding(student, stage_ends(deep, all_points(deep, (1, 8, 8))))
    assert [(a.name, b.name) for a, b in pairs] == [(f"hidden.{i}", f"hidden.{3 * i + 2}") for i in range(4)]
    assert [p.name for p in evenly(student, 2)] == ["hidden.1", "hidden.3"]


def test_a_pair_that_cannot_be_is_refused_with_the_reason_and_the_nearest_that_can():
    mine, theirs = (all_points(net(s), (1, 8, 8)) for s in (RESNET, Resnet(depth=14, width=8)))
    pairs = named_pairs("kd_fsp", [("stages.1", "stages.1")], mine, theirs)
    with pytest.raises(ConfigError) as refused:
        checked("kd_fsp", pairs, channels_misfit, theirs)
    assert str(refused.value) == (
        "method kd_fsp cannot compare the student's layer stages.1 (8x4x4) with the teacher's stages.1 (16x4x4): they "
        "have 8 and 16 channels; the nearest layer of the teacher that fits is stages.0 (8x8x8): set "
        "methods.kd_fsp.layers to stages.1:stages.0"
    )


def test_where_no_layer_of_the_teacher_fits_that_is_said():
    mine, theirs = (all_points(net(s), (1, 8, 8)) for s in (RESNET, Resnet(depth=8, width=5)))
    pairs = named_pairs("kd_fsp", [("stages.2", "stages.2")], mine, theirs)
    with pytest.raises(
        ConfigError, match=r"no layer of the teacher fits: .* a student whose layer has the teacher's 20"
    ):
        checked("kd_fsp", pairs, channels_misfit, theirs)


def test_dense_layers_have_no_pixels_to_look_at():
    mine, theirs = (all_points(net(s), (1, 8, 8)) for s in (MLP, RESNET))
    assert pixels_misfit(mine[-1], theirs[0]) == "the student's has no pixels to look at"
    assert pixels_misfit(theirs[0], theirs[0]) is None


def test_a_layer_that_is_not_there_is_named_with_those_that_are():
    points = all_points(net(RESNET), (1, 8, 8))
    with pytest.raises(ConfigError, match=r"names 'nowhere', and the teacher has no such layer; it has conv, norm"):
        named_pairs("kd_fitnet", [("conv", "nowhere")], points, points)


def test_maps_of_other_sizes_are_pooled_to_the_smaller():
    a, b = same_size(torch.arange(16.0).reshape(1, 1, 4, 4), torch.zeros(1, 2, 2, 4))
    assert a.shape == (1, 1, 2, 4)
    assert b.shape == (1, 2, 2, 4)
    assert a[0, 0, 0].tolist() == [2.0, 3.0, 4.0, 5.0]


def test_a_module_that_is_called_twice_is_no_point():
    shared = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(1, 2, 3), shared, nn.Conv2d(2, 2, 3), shared, nn.Flatten(), nn.Linear(32, 3))
    assert [p.name for p in all_points(model, (1, 8, 8))] == ["0", "2", "4", "5"]
