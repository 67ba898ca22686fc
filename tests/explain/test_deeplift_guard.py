"""DeepLIFT is silently wrong on many networks; on each it has to be right or to say so."""

import pytest
import torch
from asking import SHAPE, ask, linear, smooth_cnn
from torch import nn
from torch.nn import functional

from gradscope.analysis.completeness import pooled_error
from gradscope.config import Activation, model_classes
from gradscope.config.attributions import MOST_ERROR, DeepLiftShap, GradCam, IntegratedGradients
from gradscope.errors import AttributionError
from gradscope.explain import deeplift_shap as method
from gradscope.explain.attribute import attribute
from gradscope.explain.deeplift_rules import objection
from gradscope.methods import build_methods
from gradscope.models import build_model

SETTINGS = DeepLiftShap(background=4)
HAS_A_RULE = {"tanh", "sigmoid", "relu", "leaky_relu", "elu", "softplus", "identity"}
OBJECTIONS = {
    "torchvision": "serves 2 places, each of which needs a module of its own",
    "inception_bn": "the windows of its MaxPool2d .* overlap",
}
ACTIVATIONS = list(Activation.__args__)
ZOO = [
    cls(**({"activation": activation} if activation else {}))
    for cls in model_classes().values()
    for activation in (ACTIVATIONS if "activation" in cls.model_fields else [None])
]


@pytest.mark.parametrize("settings", ZOO, ids=lambda s: f"{s.name}-{getattr(s, 'activation', '')}")
def test_on_every_network_of_the_zoo_it_adds_up_or_says_why_not(settings):
    model = build_model(settings, (3, 16, 16), 10, seed=0).eval()
    question = ask(model, n=2, shape=(3, 16, 16))
    if settings.name in OBJECTIONS:
        with pytest.raises(AttributionError, match=OBJECTIONS[settings.name]):
            attribute(SETTINGS, question)
    elif getattr(settings, "activation", "tanh") in HAS_A_RULE:
        maps = attribute(SETTINGS, question)
        error = pooled_error(maps.totals.numpy(), maps.differences.numpy(), maps.logits.numpy())
        assert error <= MOST_ERROR
    else:
        with pytest.raises(AttributionError, match="for which DeepLIFT has no rule; choose integrated_gradients"):
            attribute(SETTINGS, question)


def test_a_pseudo_normalised_network_is_explained_as_the_plain_one_that_it_is():
    from gradscope.config import Mlp, PseudoNorm

    model = build_model(Mlp(depth=6, width=8), SHAPE, 4, seed=0)
    plain = attribute(SETTINGS, ask(model)).values
    (pseudo_norm,) = build_methods([PseudoNorm()])
    pseudo = pseudo_norm.adapt(model, torch.Generator()).train()
    assert torch.allclose(attribute(SETTINGS, ask(pseudo)).values, plain, atol=1e-6)


def behind_conv(*layers: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), *layers, nn.Flatten(), nn.LazyLinear(4)).eval()
    model(torch.zeros(1, *SHAPE))
    return model


class Function(nn.Module):
    """An operation that is no module."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


class Twice(nn.Module):
    """One activation in two places."""

    def __init__(self):
        super().__init__()
        self.inner, self.relu = nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()

    def forward(self, x):
        return self.relu(self.inner(self.relu(x)))


TRAPS = {
    "activation before a max-pool": ((nn.Tanh(), nn.MaxPool2d(2)), "the output of its Tanh 1 goes straight into"),
    "with nothing between": ((nn.ReLU(), nn.Identity(), nn.MaxPool2d(2)), "goes straight into a max-pool (3)"),
    "with dropout between": ((nn.ReLU(), nn.Dropout(), nn.MaxPool2d(2)), "goes straight into a max-pool (3)"),
    "overlapping windows": ((Function(lambda x: x * 1.0), nn.MaxPool2d(3, 2, 1)), "the windows of its MaxPool2d"),
    "functional relu": ((Function(functional.relu),), "it computes relu inside Function"),
    "functional tanh": ((Function(torch.tanh),), "it computes tanh inside Function"),
    "group norm": ((nn.GroupNorm(2, 8), nn.ReLU()), "it computes native_group_norm inside GroupNorm"),
    "relu6": ((nn.ReLU6(),), "it computes hardtanh inside ReLU6"),
    "shared": ((Twice(),), "its ReLU 1.relu serves 2 places"),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_a_network_that_it_would_be_wrong_on_is_refused_with_the_reason(trap):
    layers, reason = TRAPS[trap]
    model = behind_conv(*layers)
    assert reason in objection(model, torch.zeros(1, *SHAPE))
    with pytest.raises(AttributionError, match="DeepLIFT would be wrong on this network") as refusal:
        attribute(SETTINGS, ask(model))
    assert str(refusal.value).count(". ") == 0
    assert torch.isfinite(attribute(IntegratedGradients(), ask(model)).values).all(), "what the sentence names works"


@pytest.mark.parametrize("trap", [t for t in TRAPS if t != "shared"])
def test_each_trap_is_one(trap, monkeypatch):
    monkeypatch.setattr(method, "objection", lambda *_: None)
    with pytest.raises(AttributionError, match="its sums miss the logits by"):
        attribute(SETTINGS, ask(behind_conv(*TRAPS[trap][0])))


def test_a_trap_that_no_inspection_sees_is_seen_by_the_sum():
    model = behind_conv(Function(lambda x: x * x))
    assert objection(model, torch.zeros(1, *SHAPE)) is None
    with pytest.raises(AttributionError, match="DeepLIFT is wrong on this network: its sums miss the logits by"):
        attribute(SETTINGS, ask(model))


def test_a_max_pool_with_something_between_is_served():
    model = behind_conv(nn.Tanh(), Function(lambda x: x * 1.0), nn.MaxPool2d(2))
    assert objection(model, torch.zeros(1, *SHAPE)) is None
    maps = attribute(SETTINGS, ask(model))
    assert maps.totals.tolist() == pytest.approx(maps.differences.tolist(), rel=1e-4)


def test_grad_cam_on_a_network_without_a_feature_map_is_a_sentence():
    with pytest.raises(AttributionError, match=r"needs a convolution's feature map .* choose integrated_gradients"):
        attribute(GradCam(), ask(linear()))
    with pytest.raises(AttributionError, match="'5' has no feature map for Grad-CAM; choose one of 0, 1, 2, 3"):
        attribute(GradCam(layer="5"), ask(smooth_cnn()))


def test_a_network_that_diverged_is_a_sentence():
    model = smooth_cnn()
    model[0].weight.data[:] = torch.nan
    with pytest.raises(AttributionError, match="Integrated gradients is not finite on this network"):
        attribute(IntegratedGradients(), ask(model))
