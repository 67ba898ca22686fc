"""torchvision's residual networks and BN-Inception as teachers and students: every method, or why not."""

import pytest
import torch

from gradscope.config import InceptionBn, RunConfig, Shapes, Torchvision, method_classes
from gradscope.config.distillation import Distillation
from gradscope.data import MiniBatch, load, normaliser
from gradscope.errors import ConfigError
from gradscope.methods import Given, build_methods
from gradscope.models import build_model

METHODS = {name: kind for name, kind in method_classes().items() if issubclass(kind, Distillation)}
DATA = Shapes(train_size=50, test_size=50)
RESNETS = Torchvision(architecture="resnet18", stem="imagenet"), Torchvision(architecture="resnet34", stem="imagenet")
INCEPTION = InceptionBn(width=0.1, stem="imagenet")
BOTTLENECK = Torchvision(architecture="resnet50", stem="imagenet")


@pytest.fixture(scope="module")
def data():
    return load(DATA, seed=0)


def given_to(student, teacher, data):
    """What a run gives to its methods; the teacher has learnt nothing."""
    net = build_model(teacher, data.shape, len(data.classes), seed=1).eval().requires_grad_(False)
    return Given(
        model=build_model(student, data.shape, len(data.classes), seed=0),
        config=RunConfig(model=student, data=DATA),
        data=data,
        normalise=normaliser(DATA, data),
        device=torch.device("cpu"),
        generator=torch.Generator().manual_seed(0),
        teacher=lambda settings: net,
        rate=lambda: 0.01,
        tell=lambda text: None,
    )


def judged_by(method, given):
    method.prepare(given)
    method.at_epoch(given.model, 0, 4)
    images = given.normalise(given.data.train.images[:4])
    batch = MiniBatch(images=images, labels=given.data.train.labels[:4], places=torch.arange(4))
    method.before_pass(given.model, batch)
    return method.objective(given.model, batch)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize(("student", "teacher"), [RESNETS, (INCEPTION, RESNETS[0])], ids=["resnets", "inception_bn"])
def test_every_method_teaches_every_layer_up_to_what_it_compares(name, student, teacher, data):
    given, (method,) = given_to(student, teacher, data), build_methods([METHODS[name]()])
    if name == "kd_fsp" and student is INCEPTION:
        with pytest.raises(ConfigError, match="they have 6 and 64 channels; no layer of the teacher fits"):
            method.prepare(given)
        return
    judged = judged_by(method, given)
    judged.loss.backward()
    first = next(given.model.parameters()).grad
    assert torch.isfinite(judged.loss)
    assert first is not None
    assert float(first.abs().sum()) > 0


def test_a_bottleneck_teacher_has_other_channels_and_the_nearest_pair_is_named(data):
    (method,) = build_methods([METHODS["kd_fsp"]()])
    with pytest.raises(
        ConfigError, match=r"net.layer1 \(64x8x8\) with the teacher's net.layer1 \(256x8x8\): .* nearest"
    ):
        method.prepare(given_to(RESNETS[0], BOTTLENECK, data))


def test_hints_go_from_the_end_of_a_stage_to_the_end_of_the_same_stage(data):
    (method,) = build_methods([METHODS["kd_fitnet"]()])
    method.prepare(given_to(INCEPTION, BOTTLENECK, data))
    assert [(str(a), str(b)) for a, b in method.pairs] == [("mixed.4d (61x2x2)", "net.layer3 (1024x2x2)")]
