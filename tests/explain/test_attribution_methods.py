import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from asking import SHAPE, ask, linear, smooth_cnn
from torch import nn
from torch.nn import functional

from gradscope.config.attributions import (
    Background,
    DeepLiftShap,
    GradCam,
    GradientShap,
    InputGradient,
    IntegratedGradients,
    Occlusion,
    ShapGradient,
    ShapleySampling,
    ShapPartition,
    SmoothGrad,
    attribution_classes,
)
from gradscope.explain.attribute import METHODS, attribute
from gradscope.explain.patches import patch_ids, patch_side
from gradscope.explain.question import blurred

SMALL = {
    "smooth_grad": {"samples": 3},
    "gradient_shap": {"samples": 20, "background": 4},
    "deeplift_shap": {"background": 4},
    "shapley_sampling": {"patch": 4, "permutations": 2},
    "shap_gradient": {"samples": 20, "background": 4},
    "shap_partition": {"evaluations": 60},
}
METHOD_SETTINGS = [cls(**SMALL.get(name, {})) for name, cls in attribution_classes().items()]
names = pytest.mark.parametrize("settings", METHOD_SETTINGS, ids=lambda s: s.name)


def test_every_method_of_the_config_has_its_file():
    assert set(METHODS) == set(attribution_classes().values())


@names
def test_a_map_a_picture_and_the_network_is_left_as_it_was(settings):
    model = smooth_cnn().train()
    before = np.random.get_state()[1].copy(), torch.get_rng_state()
    maps = attribute(settings, ask(model))
    assert maps.values.shape == ((3, 1, 8, 8) if isinstance(settings, GradCam) else (3, *SHAPE))
    assert maps.values.dtype == torch.float32
    assert not maps.values.requires_grad
    assert maps.totals.tolist() == pytest.approx(maps.values.sum((1, 2, 3)).tolist())
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks or m._backward_hooks for m in model.modules())
    assert np.array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])


@names
def test_the_same_question_has_the_same_answer(settings):
    question = ask(smooth_cnn())
    assert torch.equal(attribute(settings, question).values, attribute(settings, question).values)


@names
def test_of_a_linear_network_every_contribution_is_known(settings):
    model = linear()
    question = ask(model)
    if isinstance(settings, GradCam | Occlusion):
        pytest.skip("says where, not how much")
    weights = model[1].weight[question.targets].reshape(-1, *SHAPE)
    found = attribute(settings, question).values
    if isinstance(settings, InputGradient | SmoothGrad):
        assert torch.allclose(found, weights, atol=1e-5)
        return
    exact = weights * question.images
    if isinstance(settings, Background):
        exact = exact - weights * question.references.background(settings.background).mean(0)
    if isinstance(settings, ShapleySampling):
        ids = patch_ids(4, *SHAPE)
        exact = torch.stack([_spread(one, ids[0]) for one in exact])
    if isinstance(settings, ShapPartition):
        assert torch.allclose(found.sum((1, 2, 3)), exact.sum((1, 2, 3)), atol=1e-4)
        return
    far = 0.5 if isinstance(settings, GradientShap | ShapGradient) else 1e-5  # those two draw their baselines
    assert torch.allclose(found, exact, atol=far)


def _spread(values, ids):
    sums = torch.zeros(int(ids.max()) + 1).index_add(0, ids.flatten(), values.flatten())
    return (sums / ids.flatten().bincount())[ids]


EXACT = [IntegratedGradients(), DeepLiftShap(), ShapleySampling(patch=2, permutations=1), ShapPartition(evaluations=50)]
DRAWN = [GradientShap(samples=2000), ShapGradient(samples=1000)]


@pytest.mark.parametrize("settings", EXACT, ids=lambda s: s.name)
def test_what_promises_to_add_up_does(settings):
    maps = attribute(settings, ask(smooth_cnn()))
    assert maps.totals.tolist() == pytest.approx(maps.differences.tolist(), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("settings", DRAWN, ids=lambda s: s.name)
def test_what_draws_its_baselines_adds_up_as_far_as_its_samples_reach(settings):
    maps = attribute(settings, ask(smooth_cnn()))
    gap = (maps.totals - maps.differences).norm() / maps.differences.norm()
    assert 1e-6 < gap < 0.1


@pytest.mark.parametrize("baseline", ["mean", "black", "blur"])
def test_the_sum_is_the_distance_from_the_named_baseline(baseline):
    model = smooth_cnn()
    question = ask(model)
    reference = {"mean": torch.zeros(3, *SHAPE), "black": torch.full((3, *SHAPE), -1.5)}
    other = reference.get(baseline, blurred(question.images))
    with torch.no_grad():
        difference = (model(question.images) - model(other))[torch.arange(3), question.targets]
    maps = attribute(IntegratedGradients(baseline=baseline), question)
    assert maps.differences.tolist() == pytest.approx(difference.tolist(), abs=1e-5)
    assert maps.totals.tolist() == pytest.approx(difference.tolist(), rel=1e-3, abs=1e-4)


def test_integrated_gradients_are_the_mean_gradient_on_the_way_times_the_way():
    model, question = smooth_cnn(), ask(smooth_cnn())
    baseline = torch.full_like(question.images, -1.5)
    total = torch.zeros_like(question.images)
    for share in (torch.arange(200) + 0.5) / 200:
        x = (baseline + share * (question.images - baseline)).requires_grad_()
        model(x)[torch.arange(3), question.targets].sum().backward()
        total += x.grad / 200
    found = attribute(IntegratedGradients(baseline="black"), question).values
    assert torch.allclose(found, (question.images - baseline) * total, atol=1e-4)


def test_grad_cam_is_the_weighted_sum_of_the_last_feature_map():
    model, question = smooth_cnn(), ask(smooth_cnn())
    features = model[:4](question.images).detach().requires_grad_()
    model[4:](features)[torch.arange(3), question.targets].sum().backward()
    weights = features.grad.mean(dim=(2, 3), keepdim=True)
    cam = (weights * features).sum(1, keepdim=True).relu().detach()
    plain = functional.interpolate(cam, size=(8, 8), mode="bilinear")
    found = attribute(GradCam(), question).values
    assert torch.allclose(found, plain, atol=1e-6)
    assert found.max() > 0
    assert torch.equal(attribute(GradCam(layer="3"), question).values, found)
    assert not torch.equal(attribute(GradCam(layer="1"), question).values, found)


def test_smooth_grad_is_the_mean_gradient_of_noisy_copies():
    model, question = smooth_cnn(), ask(smooth_cnn())
    spread = 0.15 * (question.images.amax((1, 2, 3)) - question.images.amin((1, 2, 3)))
    generator = torch.Generator().manual_seed(question.seed)
    gradients = []
    for _ in range(3):
        noise = torch.randn(question.images.shape, generator=generator)
        x = (question.images + spread[:, None, None, None] * noise).requires_grad_()
        model(x)[torch.arange(3), question.targets].sum().backward()
        gradients.append(x.grad)
    assert torch.allclose(attribute(SmoothGrad(samples=3), question).values, torch.stack(gradients).mean(0), atol=1e-6)


def test_occlusion_of_single_pixels_is_what_the_logit_loses_without_each():
    question = ask(smooth_cnn(), n=1)
    found = attribute(Occlusion(patch=1), question).values
    whole = question.logits(question.images)
    for i, j in [(0, 0), (3, 5), (7, 7)]:
        covered = question.images.clone()
        covered[:, :, i, j] = 0
        assert found[0, :, i, j].tolist() == pytest.approx([float(whole - question.logits(covered))] * 3, abs=1e-5)


def test_shapley_sampling_comes_close_to_all_orders():
    torch.manual_seed(3)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 4)).eval()
    model[1].weight.data *= 3
    question = ask(model, n=1, shape=(1, 2, 2))
    exact = torch.zeros(4)
    orders = list(itertools.permutations(range(4)))
    for order in orders:
        x = torch.zeros(1, 4)
        for pixel in order:
            before = question.logits(x.reshape(1, 1, 2, 2))
            x[0, pixel] = question.images.flatten()[pixel]
            exact[pixel] += float(question.logits(x.reshape(1, 1, 2, 2)) - before) / len(orders)
    found = attribute(ShapleySampling(patch=1, permutations=400), question).values.flatten()
    assert found.tolist() == pytest.approx(exact.tolist(), abs=0.01)
    one_order = attribute(ShapleySampling(patch=1, permutations=1), question).values.flatten()
    assert (one_order - exact).abs().max() > 0.015, "orders matter on this network"


def test_deeplift_agrees_with_the_shap_package():
    from gradscope.explain.shap_package import SingleLogit, shap_package

    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 4)).eval()
    question = ask(model)
    found = attribute(DeepLiftShap(background=8), question).values
    for image, target, one in zip(question.images, question.targets.tolist(), found, strict=True):
        explainer = shap_package().DeepExplainer(SingleLogit(model, target), question.references.pool)
        other = np.asarray(explainer.shap_values(image[None], check_additivity=False)).reshape(SHAPE)
        assert np.allclose(one.numpy(), other, atol=1e-5)


def test_both_packages_expect_the_same_gradients():
    question = ask(smooth_cnn(), n=1)
    one = attribute(GradientShap(samples=4000, background=8), question).values.flatten()
    other = attribute(ShapGradient(samples=2000, background=8), question).values.flatten()
    assert torch.corrcoef(torch.stack([one, other]))[0, 1] > 0.98


@pytest.mark.parametrize("settings", [EXACT[0], EXACT[1], EXACT[3], GradCam(), Occlusion()], ids=lambda s: s.name)
def test_a_batch_is_what_its_pictures_are_one_by_one(settings):
    question = ask(smooth_cnn())
    whole = attribute(settings, question).values
    for i in range(3):
        one = replace(question, images=question.images[i : i + 1], targets=question.targets[i : i + 1])
        assert torch.allclose(attribute(settings, one).values[0], whole[i], atol=1e-5)


def test_partition_values_are_the_same_in_every_channel():
    values = attribute(ShapPartition(evaluations=60), ask(smooth_cnn(), n=1)).values[0]
    assert len(values[0].unique()) > 4
    assert values.std(0).max() < values.std()


@pytest.mark.parametrize(("wanted", "side"), [(None, 4), (3, 3), (99, 32)])
def test_a_patch_is_an_eighth_of_the_side_or_as_wished(wanted, side):
    assert patch_side(wanted, 32, 40) == side


def test_patches_cover_a_picture_that_they_do_not_divide():
    ids = patch_ids(3, 2, 4, 5)
    assert ids.shape == (1, 2, 4, 5)
    assert ids.unique().tolist() == list(range(8))
    assert ids[0, 1].tolist() == [[4, 4, 4, 5, 5]] * 3 + [[6, 6, 6, 7, 7]]


def test_the_blurred_picture_keeps_its_mean_colour_and_loses_its_contours():
    x = torch.zeros(1, 1, 32, 32)
    x[..., 8:24, 8:24] = 1
    y = blurred(x)
    assert y.mean() == pytest.approx(float(x.mean()), abs=0.02)
    assert (y[..., 1:] - y[..., :-1]).abs().max() < 0.15
