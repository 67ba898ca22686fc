"""The generated pictures and their masks."""

import numpy as np
import pytest
import torch

from gradscope.config import Shapes
from gradscope.data import load
from gradscope.data.dataset import Split, silent
from gradscope.data.shapes import SHAPES, contours, generate


@pytest.fixture(scope="module")
def pictures() -> Split:
    return generate(600, (0, 0), silent)


def test_the_same_seed_gives_the_same_pictures_and_another_seed_others(pictures: Split) -> None:
    again, other = generate(600, (0, 0), silent), generate(600, (1, 0), silent)
    assert torch.equal(pictures.images, again.images)
    assert torch.equal(pictures.labels, again.labels)
    assert not torch.equal(pictures.images, other.images)


def test_the_classes_come_in_equal_shares(pictures: Split) -> None:
    assert pictures.labels.bincount().tolist() == [120] * 5


def test_every_object_lies_whole_inside_its_picture_and_is_large_enough_to_see(pictures: Split) -> None:
    mask = pictures.object_mask
    assert mask is not None
    border = mask[:, 0].any(1) | mask[:, -1].any(1) | mask[:, :, 0].any(1) | mask[:, :, -1].any(1)
    assert not border.any()
    area = mask.sum((1, 2))
    assert area.min() >= 25
    assert area.max() <= 360


def test_the_contour_is_the_part_of_the_object_that_touches_the_ground(pictures: Split) -> None:
    assert pictures.object_mask is not None
    assert pictures.contour_mask is not None
    for mask, contour in zip(pictures.object_mask[:20].tolist(), pictures.contour_mask[:20].tolist(), strict=True):
        for i in range(1, 31):
            for j in range(1, 31):
                neighbours = (mask[i - 1][j], mask[i + 1][j], mask[i][j - 1], mask[i][j + 1])
                assert contour[i][j] == (mask[i][j] and not all(neighbours))


def test_a_contour_at_the_pictures_edge_counts() -> None:
    assert contours(np.ones((1, 3, 3), np.bool_))[0].tolist() == [[True] * 3, [True, False, True], [True] * 3]


def test_objects_differ_from_their_ground(pictures: Split) -> None:
    assert pictures.object_mask is not None
    x, mask = pictures.images.float() / 255, pictures.object_mask[:, None].float()
    inside = (x * mask).sum((2, 3)) / mask.sum((2, 3))
    outside = (x * (1 - mask)).sum((2, 3)) / (1 - mask).sum((2, 3))
    distance = (inside - outside).norm(dim=1)
    assert distance.quantile(0.01) > 0.4


def test_colour_and_brightness_tell_nothing_about_the_class(pictures: Split) -> None:
    means = torch.stack([pictures.images[pictures.labels == k].float().mean((0, 2, 3)) for k in range(5)])
    assert (means - means.mean(0)).abs().max() < 20


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("circle", (0.55, 0.55), (0.6, 0.6)),
        ("square", (0.69, 0.69), (0.71, 0.0)),
        ("triangle", (0.0, 0.95), (0.0, -0.55)),
        ("star", (0.98, 0.0), (-0.5, 0.0)),
        ("cross", (0.9, 0.2), (0.4, 0.4)),
    ],
)
def test_an_outline_is_the_one_of_its_name(name: str, inside: tuple[float, ...], outside: tuple[float, ...]) -> None:
    for point, expected in ((inside, True), (outside, False)):
        u, v = (np.array([p], np.float32) for p in point)
        assert bool(SHAPES[name](u, v)[0]) is expected


def test_masks_stay_with_their_pictures_through_the_splits() -> None:
    data = load(Shapes(train_size=60, test_size=50), seed=3)
    whole = generate(60, (0, 0), silent)
    assert whole.object_mask is not None
    by_picture = {i.numpy().tobytes(): m for i, m in zip(whole.images, whole.object_mask, strict=True)}
    for split in (data.train, data.val):
        assert split.object_mask is not None
        for image, mask in zip(split.images, split.object_mask, strict=True):
            assert torch.equal(by_picture[image.numpy().tobytes()], mask)


def test_progress_counts_training_and_test_pictures() -> None:
    calls: list[tuple[int, int]] = []
    load(Shapes(train_size=600, test_size=50), seed=0, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(500, 650), (600, 650), (650, 650)]
