"""Corruptions of pictures, and data sets that are distorted once."""

import pytest
import torch

from gradscope.config import CORRUPTIONS, RANDOM, Digits, Shapes
from gradscope.config.robustness import NOISES
from gradscope.data import load
from gradscope.data.corruptions import CORRUPTIONS as REGISTRY
from gradscope.data.corruptions import corrupted
from gradscope.data.corruptions.blur import disc
from gradscope.errors import ConfigError
from gradscope.overrides import with_overrides
from gradscope.presets import preset


@pytest.fixture(scope="module")
def pictures():
    """Forty pictures of shapes, uint8 [40, 3, 32, 32]."""
    return load(Shapes(train_size=50, test_size=50), seed=0).test.images[:40]


def spoil(images, kind, severity, seed=0):
    return corrupted(images, kind, severity, torch.Generator().manual_seed(seed))


def mean_change(images, kind, severity):
    return (spoil(images, kind, severity).float() - images.float()).abs().mean().item()


def test_every_corruption_that_can_be_asked_for_is_there():
    assert tuple(REGISTRY) == CORRUPTIONS


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_gives_pictures_that_differ_more_the_more_severe_it_is(kind, pictures):
    before = pictures.clone()
    changes = [mean_change(pictures, kind, severity) for severity in (1, 3, 5)]
    assert 0 < changes[0] < changes[1] < changes[2] < 100
    assert torch.equal(pictures, before)


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_a_corruption_is_random_exactly_where_that_is_said(kind, pictures):
    one, again, other = (spoil(pictures, kind, 3, seed) for seed in (1, 1, 2))
    assert torch.equal(one, again)
    assert torch.equal(one, other) is (kind not in RANDOM)


@pytest.mark.parametrize("kind", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 11, 61), (1, 28, 28)])
def test_a_corruption_takes_pictures_of_any_shape(kind, shape):
    images = torch.randint(0, 256, (2, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    changed = spoil(images, kind, 5)
    assert (changed.shape, changed.dtype) == (images.shape, torch.uint8)


def test_a_blurred_point_is_a_disc_of_its_radius():
    kernel = disc(2.0)
    assert kernel.sum().item() == pytest.approx(1)
    assert kernel[2, 2].item() == pytest.approx(1 / (torch.pi * 4), rel=0.01)
    assert torch.equal(kernel, kernel.flip(0))
    assert disc(0.3).tolist() == [[1.0]]


def test_contrast_and_brightness_keep_to_their_numbers():
    grey = torch.tensor([[[[100, 140]]]], dtype=torch.uint8)
    assert spoil(grey, "contrast", 2).flatten().tolist() == [110, 130]
    assert spoil(grey, "brightness", 5).flatten().tolist() == [160, 224]


def test_impulses_are_black_or_white_and_as_many_as_stated():
    grey = torch.full((100, 1, 32, 32), 100, dtype=torch.uint8)
    changed = spoil(grey, "impulse_noise", 5)
    black, white = ((changed == value).float().mean().item() for value in (0, 255))
    assert black == pytest.approx(0.035, rel=0.1)
    assert white == pytest.approx(0.035, rel=0.1)
    assert set(changed.unique().tolist()) == {0, 100, 255}


def test_shot_noise_has_the_variance_of_its_photons():
    grey = torch.full((100, 1, 32, 32), 127, dtype=torch.uint8)
    changed = spoil(grey, "shot_noise", 4).float() / 255
    assert changed.mean().item() == pytest.approx(127 / 255, rel=0.01)
    assert changed.var().item() == pytest.approx(127 / 255 / 75, rel=0.05)


def test_a_moved_picture_is_the_picture_moved():
    images = torch.zeros(200, 1, 32, 32, dtype=torch.uint8)
    images[:, :, 16, 16] = 255
    moved = spoil(images, "translation", 3).float()
    place = torch.arange(32) - 16
    total = moved.sum((1, 2, 3))
    down, right = (moved.sum(dim).squeeze(1) @ place.float() / total for dim in (3, 2))
    assert (down.square() + right.square()).sqrt().tolist() == pytest.approx([3.0] * 200, abs=0.1)
    assert len({(round(d), round(r)) for d, r in zip(down.tolist(), right.tolist(), strict=True)}) > 8


def test_a_turned_picture_that_is_not_square_is_not_sheared():
    images = torch.zeros(1, 1, 16, 64, dtype=torch.uint8)
    images[:, :, 7:9, 12:52] = 255  # a flat bar of 2 x 40
    turned = spoil(images, "rotation", 3)[0, 0].float()
    rows, columns = torch.nonzero(turned > 127, as_tuple=True)
    length = ((columns.max() - columns.min()).square() + (rows.max() - rows.min()).square()).float().sqrt()
    assert length.item() == pytest.approx(40, abs=2)


@pytest.mark.parametrize("kind", ["gaussian_blur", "gaussian_noise"])
def test_a_data_set_is_distorted_once_alike_for_every_run(kind):
    plain = load(Shapes(train_size=50, test_size=50), seed=0)
    one, other = (load(Shapes(train_size=50, test_size=50, distort=kind, distort_level=1), seed=s) for s in (0, 1))
    assert not torch.equal(one.test.images, plain.test.images)
    assert torch.equal(one.test.images, other.test.images)
    assert one.fingerprint == other.fingerprint != plain.fingerprint
    assert one.mean != plain.mean
    assert one.test.contour_mask is not None
    assert not torch.equal(one.train.images[0], plain.train.images[0])


def test_noise_in_a_data_set_is_in_units_of_each_channels_deviation():
    settings = Digits(), Digits(distort=NOISES[1], distort_level=0.1)
    plain, noisy = (load(s, seed=0).train.images.float() for s in settings)
    inside = (plain > 100) & (plain < 150)
    spread = (noisy - plain)[inside].std().item()
    assert spread == pytest.approx(0.1 * plain.std().item(), rel=0.05)


def test_masks_are_dropped_where_pixels_move():
    moved = load(Shapes(train_size=50, test_size=50, distort="rotation", distort_level=2), seed=0)
    assert moved.test.object_mask is None


def test_a_severity_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="for distort=fog it is the severity, 1 to 5"):
        with_overrides(preset("relu").config, {"data.distort": "fog", "data.distort_level": "2.5"})
