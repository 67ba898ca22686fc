"""Batches, normalisation and augmentation against slow, obvious code."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from gradscope.config import DataSettings
from gradscope.data import Dataset, Split, augmenter, batches, normaliser
from gradscope.data.loading import channel_statistics
from gradscope.data.transforms import flips, shifted, shifts


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(n: int = 12, c: int = 3, h: int = 8, w: int = 6) -> Tensor:
    return torch.randint(0, 256, (n, c, h, w), dtype=torch.uint8, generator=seeded(5))


def dataset(x: Tensor) -> Dataset:
    mean, std = channel_statistics(x)
    split = Split(images=x, labels=torch.zeros(len(x), dtype=torch.int64))
    shape = (x.shape[1], x.shape[2], x.shape[3])
    return Dataset(
        train=split, val=split, test=split, classes=("a", "b"), shape=shape, fingerprint="", mean=mean, std=std
    )


def normalised(how: str, x: Tensor) -> Tensor:
    return normaliser(DataSettings.model_validate({"normalise": how}), dataset(x))(x)


def test_channel_normalisation_gives_every_channel_mean_0_and_std_1() -> None:
    x = normalised("channel", images())
    assert x.dtype == torch.float32
    torch.testing.assert_close(x.mean((0, 2, 3)), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std((0, 2, 3), correction=0), torch.ones(3))


def test_image_normalisation_gives_every_picture_mean_0_and_std_1() -> None:
    x = normalised("image", images())
    torch.testing.assert_close(x.mean((1, 2, 3)), torch.zeros(12), atol=1e-5, rtol=0)
    torch.testing.assert_close(x.std((1, 2, 3), correction=0), torch.ones(12))


def test_symmetric_and_unit_normalisation_have_their_ranges() -> None:
    x = torch.tensor([0, 255], dtype=torch.uint8).reshape(2, 1, 1, 1)
    assert normalised("symmetric", x).flatten().tolist() == [-1, 1]
    assert normalised("unit", x).flatten().tolist() == [0, 1]


@pytest.mark.parametrize("how", ["channel", "image"])
def test_a_picture_of_one_colour_stays_finite(how: str) -> None:
    assert normalised(how, torch.full((2, 1, 4, 4), 9, dtype=torch.uint8)).abs().max() < 1e-3


def slowly_shifted(x: Tensor, mirrored: Tensor, shift: Tensor) -> Tensor:
    out = torch.zeros_like(x)
    for b, image in enumerate(x):
        source = image.flip(2) if mirrored[b] else image
        for i in range(x.shape[2]):
            for j in range(x.shape[3]):
                row, column = i - int(shift[0, b]), j - int(shift[1, b])
                if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                    out[b, :, i, j] = source[:, row, column]
    return out


def test_the_gather_flips_and_moves_as_the_plain_loop_does() -> None:
    x = images()
    mirrored = torch.arange(12) % 2 == 0
    shift = torch.stack([torch.arange(12) % 5 - 2, torch.arange(12) % 3 - 1])
    assert torch.equal(shifted(x, mirrored, shift), slowly_shifted(x, mirrored, shift))


@pytest.mark.parametrize("how", ["flip", "crop", "flip_crop"])
def test_an_augmentation_is_given_by_its_generator_and_keeps_type_and_shape(how: str) -> None:
    settings = DataSettings.model_validate({"augment": how})
    one, two, other = (augmenter(settings, seeded(s))(images()) for s in (1, 1, 2))
    assert one.dtype == torch.uint8
    assert one.shape == images().shape
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_flip_gives_each_picture_or_its_mirror_image_about_equally_often() -> None:
    x = images(1).expand(400, -1, -1, -1)
    out = augmenter(DataSettings(augment="flip"), seeded())(x)
    same = (out == x).flatten(1).all(1)
    mirrored = (out == x.flip(3)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 150 < same.sum() < 250
    assert 150 < flips(400, seeded()).sum() < 250


@pytest.mark.parametrize(("side", "most"), [(32, 4), (28, 3), (8, 1)])
def test_crop_moves_by_at_most_an_eighth_of_the_side(side: int, most: int) -> None:
    shift = shifts(torch.zeros(500, 1, side, side, dtype=torch.uint8), seeded())
    assert shift.unique().tolist() == list(range(-most, most + 1))


def test_without_augmentation_the_pictures_stay_as_they_are() -> None:
    x = images()
    assert augmenter(DataSettings(), seeded())(x) is x


def counted(n: int) -> Split:
    return Split(images=torch.arange(n, dtype=torch.uint8).reshape(n, 1, 1, 1), labels=torch.arange(n))


@pytest.mark.parametrize(
    ("n", "size", "expected"),
    [(10, 5, [5, 5]), (11, 5, [5, 4, 2]), (12, 5, [5, 5, 2]), (3, 5, [3]), (1, 5, [1]), (3, 2, [2, 1]), (2, 1, [1, 1])],
)
def test_batches_have_the_size_and_never_end_with_a_lone_picture(n: int, size: int, expected: list[int]) -> None:
    assert [len(labels) for _, labels in batches(counted(n), size, generator=seeded())] == expected


def test_an_epoch_holds_every_picture_once_with_its_label_in_an_order_of_the_generator() -> None:
    def epoch(seed: int, shuffle: bool = True) -> list[int]:
        seen: list[int] = []
        for x, labels in batches(counted(50), 8, generator=seeded(seed), shuffle=shuffle):
            assert x.flatten().tolist() == labels.tolist()
            assert x.dtype == torch.float32
            seen += labels.tolist()
        return seen

    assert sorted(epoch(0)) == list(range(50))
    assert epoch(0) == epoch(0) != epoch(1)
    assert epoch(0, shuffle=False) == list(range(50))


def test_the_transform_sees_whole_uint8_batches() -> None:
    seen: list[Any] = []

    def transform(x: Tensor) -> Tensor:
        seen.append((x.dtype, len(x)))
        return x / 2

    out = [x for x, _ in batches(counted(5), 3, transform=transform, shuffle=False)]
    assert seen == [(torch.uint8, 3), (torch.uint8, 2)]
    assert out[1].flatten().tolist() == [1.5, 2.0]


def test_shuffling_needs_a_generator() -> None:
    with pytest.raises(ValueError, match="needs a generator"):
        next(batches(counted(5), 3))


def test_normalisation_uses_the_training_split_alone() -> None:
    x = images()
    data = dataset(x)
    other = replace(data, test=Split(images=x * 0, labels=data.test.labels))
    apply = [normaliser(DataSettings(), d) for d in (data, other)]
    assert torch.equal(apply[0](x), apply[1](x))
