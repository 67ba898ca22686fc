"""What people call the histograms they write."""

import pytest

from gradscope.exchange.tags import subject_of


@pytest.mark.parametrize(
    ("tag", "kind", "layer"),
    [
        ("conv1.weight.grad", "gradient", "conv1"),
        ("conv1.weight_grad", "gradient", "conv1"),
        ("grad/conv1.weight", "gradient", "conv1"),
        ("Gradients/block.0/conv", "gradient", "block.0/conv"),
        ("layers/fc/weight/grad", "gradient", "layers/fc"),
        ("fc.grad", "gradient", "fc"),
        ("grad", "gradient", "grad"),
        ("fc.weight", "weight", "fc"),
        ("weights/fc", "weight", "fc"),
        ("dense/kernel:0", "weight", "dense"),
        ("activation/relu1", "activation", "relu1"),
        ("raw_gradient/fc", "raw_gradient", "fc"),
    ],
)
def test_a_tag_names_a_kind_and_a_layer(tag, kind, layer):
    subject = subject_of(tag)
    assert (subject.kind, subject.layer, subject.is_bias) == (kind, layer, False)


@pytest.mark.parametrize("tag", ["fc.bias", "fc.bias.grad", "grad/fc/bias", "bias"])
def test_a_bias_is_known_as_such(tag):
    assert subject_of(tag).is_bias


@pytest.mark.parametrize("tag", ["latency", "upgrades/cost", "outputs/3", "gradual"])
def test_what_names_neither_is_not_guessed(tag):
    assert subject_of(tag) is None
