"""Splits, checks, fingerprints: what every source goes through."""

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

import gradscope.data
import gradscope.methods
import gradscope.models
from gradscope.config import Digits, Shapes, data_classes
from gradscope.data import load, scikit_digits
from gradscope.data.dataset import Source, Split
from gradscope.data.loading import SOURCES, channel_statistics, check, fingerprint
from gradscope.data.sizes import DataShape, data_shape, n_validation, steps_per_epoch
from gradscope.data.splits import stratified_order
from gradscope.errors import DataError


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def split_of(labels: list[int], shape: tuple[int, ...] = (1, 2, 2)) -> Split:
    images = torch.arange(len(labels) * 4, dtype=torch.uint8)[:, None, None, None].expand(-1, *shape)
    return Split(images=images[: len(labels)].contiguous(), labels=torch.tensor(labels, dtype=torch.int64))


def source_of(train: list[int], test: list[int], classes: int = 2, shape: tuple[int, ...] = (1, 2, 2)) -> Source:
    return Source(
        train=split_of(train),
        test=split_of(test, shape),
        classes=tuple("abcdefgh"[:classes]),
        train_name="train.parquet",
        test_name="test.parquet",
    )


def test_every_source_of_the_config_can_be_loaded_and_says_what_it_gives() -> None:
    assert set(SOURCES) == set(data_classes().values())
    assert all(read.__doc__ for read in SOURCES.values())


@pytest.mark.parametrize("n", [1, 7, 20, 53, 100])
def test_every_beginning_of_a_stratified_order_holds_the_classes_in_their_shares(n: int) -> None:
    labels = torch.tensor([0] * 60 + [1] * 30 + [2] * 10)[torch.randperm(100, generator=seeded(9))]
    order = stratified_order(labels, seeded())
    assert sorted(order.tolist()) == list(range(100))
    counts = labels[order[:n]].bincount(minlength=3)
    assert all(abs(c - n * share) <= 1 for c, share in zip(counts.tolist(), (0.6, 0.3, 0.1), strict=True))


def test_a_stratified_order_is_given_by_its_seed() -> None:
    labels = torch.arange(40) % 4
    one, two, other = (stratified_order(labels, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("n", "share", "expected"), [(1527, 0.1, 153), (10, 0.01, 1), (10, 0.89, 9), (2, 0.8, 1)])
def test_validation_is_the_rounded_share_but_never_nothing_and_never_all(n: int, share: float, expected: int) -> None:
    assert n_validation(n, share) == expected


def pictures(split: Split) -> set[bytes]:
    return {image.numpy().tobytes() for image in split.images}


def test_validation_comes_from_training_by_the_seed_and_the_test_never_changes() -> None:
    settings = Shapes(train_size=100, test_size=50)
    one, again, other = (load(settings, seed=s) for s in (0, 0, 1))
    assert (len(one.train), len(one.val), len(one.test)) == (90, 10, 50)
    assert pictures(one.val) == pictures(again.val) != pictures(other.val)
    assert pictures(one.train) | pictures(one.val) == pictures(other.train) | pictures(other.val)
    assert not pictures(one.train) & pictures(one.val)
    assert not (pictures(one.train) | pictures(one.val)) & pictures(one.test)
    assert torch.equal(one.test.images, other.test.images)
    assert one.fingerprint == other.fingerprint


def test_a_limit_keeps_a_balanced_part_of_training_and_test_whatever_the_seed() -> None:
    one, two = (load(Digits(limit=100, val_fraction=0.2), seed=s) for s in (0, 1))
    assert (len(one.train), len(one.val), len(one.test)) == (80, 20, 100)
    assert one.test.labels.bincount().tolist() == pytest.approx([10] * 10, abs=1)
    assert torch.equal(one.test.images, two.test.images)
    assert one.val.labels.bincount().tolist() == [2] * 10
    assert one.fingerprint == load(Digits(), seed=0).fingerprint


def test_the_fingerprint_changes_with_one_pixel_one_label_or_the_shape() -> None:
    source = source_of([0, 1, 0], [0, 1])
    before = fingerprint(source)
    assert len(before) == 32
    assert before == fingerprint(source_of([0, 1, 0], [0, 1]))
    assert before != fingerprint(source_of([0, 1, 1], [0, 1]))
    source.train.images[1, 0, 0, 0] += 1
    assert before != fingerprint(source)


def test_channel_statistics_are_those_of_the_plain_formula() -> None:
    images = torch.randint(0, 256, (7, 3, 5, 4), dtype=torch.uint8, generator=seeded())
    mean, std = channel_statistics(images)
    plain = images.double() / 255
    assert mean == pytest.approx(plain.mean(dim=(0, 2, 3)).tolist(), abs=1e-12)
    assert std == pytest.approx(plain.std(dim=(0, 2, 3), correction=0).tolist(), abs=1e-12)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (source_of([], [0]), r"train\.parquet holds no picture; put pictures there"),
        (source_of([0, 1], []), r"test\.parquet holds no picture"),
        (source_of([0, 2], [0]), r"train\.parquet has labels 0\.\.2 for 2 classes; labels must be 0\.\.1"),
        (source_of([0, 1], [-1]), r"test\.parquet has labels -1\.\.-1 for 2 classes"),
        (source_of([0, 0], [0], classes=1), r"train\.parquet has pictures of one class only"),
        (source_of([0, 0], [0]), r"train\.parquet has pictures of one class only"),
        (source_of([0, 2], [0], classes=3), r"class 'b' has no picture in train\.parquet; add some or remove"),
        (source_of([0, 1], [0], shape=(1, 3, 2)), r"pictures in test\.parquet are 2x3, in train\.parquet 2x2"),
    ],
)
def test_data_that_cannot_be_trained_on_are_refused_by_name(source: Source, message: str) -> None:
    with pytest.raises(DataError, match=message):
        check(source)


def test_digits_are_grey_8x8_pictures_with_a_fixed_test() -> None:
    calls: list[tuple[int, int]] = []
    digits = load(Digits(), seed=0, progress=lambda done, total: calls.append((done, total)))
    assert digits.shape == (1, 8, 8)
    assert digits.classes == tuple("0123456789")
    assert (len(digits.train), len(digits.val), len(digits.test)) == (1374, 153, 270)
    assert digits.train.images.dtype == torch.uint8
    assert (int(digits.train.images.min()), int(digits.train.images.max())) == (0, 255)
    assert digits.test.labels.bincount().tolist() == pytest.approx([27] * 10, abs=1)
    assert calls[-1] == (1797, 1797)


@pytest.mark.parametrize(
    "settings", [Digits(), Digits(limit=50), Shapes(train_size=60, test_size=50, val_fraction=0.3)]
)
def test_the_size_is_known_without_loading(settings: Digits | Shapes) -> None:
    loaded = load(settings, seed=0)
    assert data_shape(settings) == DataShape(loaded.shape, len(loaded.classes), len(loaded.train))


def test_a_dataset_moves_to_a_device_whole() -> None:
    moved = load(Shapes(train_size=50, test_size=50), seed=0).to("meta")
    assert {t.device.type for s in (moved.train, moved.val, moved.test) for t in (s.images, s.labels)} == {"meta"}
    assert moved.val.contour_mask is not None
    assert moved.val.contour_mask.device.type == "meta"


def test_the_steps_of_an_epoch_round_up() -> None:
    assert [steps_per_epoch(n, 50) for n in (49, 50, 51)] == [1, 1, 2]


@pytest.mark.parametrize("package", [gradscope.data, gradscope.models, gradscope.methods], ids=lambda p: p.__name__)
def test_no_file_of_a_package_hides_a_name_that_the_package_offers(package: ModuleType) -> None:
    for file in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{file.name}")
    assert not any(isinstance(getattr(package, name), ModuleType) for name in package.__all__)


def test_a_name_that_a_package_does_not_offer_is_an_attribute_error() -> None:
    for package in (gradscope.data, gradscope.models):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            package.nothing  # noqa: B018


def test_asking_for_sizes_needs_no_torch_and_digits_need_neither_torchvision_nor_sklearn() -> None:
    code = (
        "import sys; from gradscope.data.sizes import data_shape; from gradscope.config import Digits;"
        "data_shape(Digits()); a = 'torch' in sys.modules;"
        "from gradscope.data import load; load(Digits(), seed=0);"
        "print(a, {'torchvision', 'sklearn'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split() == ["False", "set()"]


@pytest.mark.parametrize("there", [True, False])
def test_digits_are_those_that_scikit_learn_reads(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not there:
        monkeypatch.setattr(scikit_digits, "find_spec", lambda name: None)
    pictures, labels = scikit_digits.read_scikit_digits()
    theirs = load_digits()
    assert (pictures.dtype, labels.dtype) == (np.uint8, np.int64)
    np.testing.assert_array_equal(pictures, theirs.images)
    np.testing.assert_array_equal(labels, theirs.target)
