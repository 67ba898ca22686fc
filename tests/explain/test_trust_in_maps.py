"""Deletion and insertion, sanity against random weights, and that the contour score measures what it says."""

import numpy as np
import pytest
import torch
from asking import SHAPE, ask, linear, smooth_cnn
from torch import nn
from torch.nn import functional

from gradscope.analysis.intervals import bootstrap, paired
from gradscope.analysis.looks import regions, shares, sobel
from gradscope.config.attributions import InputGradient, IntegratedGradients
from gradscope.data.shapes import generate
from gradscope.explain.attribute import attribute
from gradscope.explain.faithfulness import areas
from gradscope.explain.question import Question, References
from gradscope.explain.sanity import similarity_to_random


def test_of_a_linear_network_the_true_contributions_are_the_most_faithful_map():
    model = linear()
    model[1].weight.data *= 5
    question = ask(model, n=4)
    true = model[1].weight[question.targets].reshape(-1, *SHAPE).detach() * question.images
    best, worst = areas(question, true), areas(question, -true)
    random = areas(question, torch.randn(true.shape, generator=torch.Generator().manual_seed(0)))
    assert (best.deletion < random.deletion).all()
    assert (random.deletion < worst.deletion).all()
    assert (best.insertion > worst.insertion).all()


def test_the_area_is_that_of_the_curve_taken_pixel_by_pixel():
    model = smooth_cnn()
    question = ask(model, n=1)
    maps = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(1))
    order = maps.sum(1).flatten().argsort(descending=True).tolist()
    x, curve = question.images.clone(), []
    for pixel in [None, *order]:
        if pixel is not None:
            x[:, :, pixel // 8, pixel % 8] = 0
        curve.append(model(x).softmax(1)[0, 0].item())
    plain = np.trapezoid(curve, dx=1 / 64)
    assert float(areas(question, maps, levels=64).deletion) == pytest.approx(plain, abs=1e-5)
    assert float(areas(question, maps).deletion) == pytest.approx(plain, abs=5e-3), "32 levels do"


def test_a_map_of_the_picture_alone_is_told_from_one_of_the_network():
    question, other = ask(smooth_cnn(), n=6), smooth_cnn(seed=9)
    maps = attribute(InputGradient(), question).values
    assert abs(similarity_to_random(InputGradient(), question, maps, other).mean()) < 0.4
    same = similarity_to_random(InputGradient(), question, maps, question.model)
    assert same.tolist() == pytest.approx([1] * 6)


def trained(images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    """A few seconds' worth of learning."""
    torch.manual_seed(0)
    conv = [nn.Conv2d(3, 12, 3, 2, 1), nn.ReLU(), nn.Conv2d(12, 24, 3, 2, 1), nn.ReLU(), nn.Conv2d(24, 24, 3, 2, 1)]
    model = nn.Sequential(*conv, nn.ReLU(), nn.Flatten(), nn.Linear(384, 5))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    order = torch.Generator().manual_seed(0)
    for _ in range(3):
        for batch in torch.randperm(len(images), generator=order).split(50):
            optimizer.zero_grad()
            functional.cross_entropy(model(images[batch]), labels[batch]).backward()
            optimizer.step()
    return model.eval()


def scores(model: nn.Module, images: torch.Tensor, where) -> dict[str, np.ndarray]:
    zero = torch.zeros(images.shape[1:])
    references = References(mean=zero, black=zero, pool=images[:1])
    targets = model(images).argmax(1)
    maps = attribute(
        IntegratedGradients(steps=20), Question(model=model, images=images, targets=targets, references=references)
    )
    return shares(maps.values.numpy(), where)


def test_a_network_that_can_only_see_contours_scores_more_contour_than_one_that_sees_filled_areas():
    train, test = (generate(n, (0, i), lambda *_: None) for i, n in enumerate((600, 80)))
    colour = (train.images * train.object_mask[:, None]).sum((2, 3)).argmax(1)  # the fill tells it, no contour does
    edge_filtered = [torch.from_numpy(sobel(s.images.numpy())).float() / 255 for s in (train, test)]
    pictures = [(s.images.float() - 127) / 64 for s in (train, test)]
    contour_model, area_model = trained(edge_filtered[0], train.labels), trained(pictures[0], colour)
    right = (test.images * test.object_mask[:, None]).sum((2, 3)).argmax(1)
    assert (area_model(pictures[1]).argmax(1) == right).float().mean() > 0.7, "it does see the areas"

    where = regions(test.images.numpy(), test.object_mask.numpy(), test.contour_mask.numpy())
    contour_seer, area_seer = scores(contour_model, edge_filtered[1], where), scores(area_model, pictures[1], where)
    assert bootstrap(contour_seer["contour"]).low > 2 * bootstrap(area_seer["contour"]).high
    assert paired(contour_seer["interior"], area_seer["interior"]).low > 0.05
    assert where.contour.mean() < 0.06, "an even map's share"
