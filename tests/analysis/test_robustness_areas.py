"""Curves, areas and pooled runs, from points made up by hand."""

import math

import numpy as np
import pandas as pd
import pytest

from gradscope.analysis.intervals import bootstrap
from gradscope.analysis.published_robustness import published
from gradscope.analysis.robustness import area, curves, over_runs, per_class, same_settings, weights
from gradscope.overrides import with_overrides
from gradscope.presets import preset


def points(rows):
    columns = ["run", "kind", "level", "accuracy", "deviation"]
    return pd.DataFrame(rows, columns=columns).assign(per_class=[{"cat": 0.5, "dog": None}] * len(rows))


TWO = points(
    [
        (1, "gaussian_noise", 0.0, 0.8, math.nan),
        (1, "gaussian_noise", 1.0, 0.4, 0.02),
        (2, "gaussian_noise", 0.0, 0.6, math.nan),
        (2, "gaussian_noise", 1.0, 0.3, 0.01),
    ]
)


def test_a_run_alone_has_a_band_of_one_deviation_over_its_draws():
    found = curves(TWO, {1: 1, 2: 2}).set_index(["run", "level"])
    assert found.loc[(1, 1.0), ["accuracy", "low", "high"]].tolist() == pytest.approx([0.4, 0.38, 0.42])
    assert found.loc[(1, 0.0), ["low", "high"]].tolist() == [0.8, 0.8]
    assert found.loc[(1, 1.0), ["relative", "relative_low", "relative_high"]].tolist() == pytest.approx(
        [0.5, 0.475, 0.525]
    )
    assert found["n"].tolist() == [1, 1, 1, 1]


def test_pooled_runs_have_their_mean_and_a_band_of_one_deviation_over_runs():
    found = curves(TWO, {1: 1, 2: 1}).set_index("level")
    assert found["run"].tolist() == [1, 1]
    assert found.loc[1.0, "accuracy"] == pytest.approx(0.35)
    assert found.loc[1.0, "high"] - found.loc[1.0, "accuracy"] == pytest.approx(np.std([0.4, 0.3], ddof=1))
    assert found.loc[1.0, "relative"] == pytest.approx(0.5)
    assert found["n"].tolist() == [2, 2]


def test_runs_that_are_not_asked_for_are_left_out_and_none_is_no_error():
    assert curves(TWO, {2: 2})["run"].unique().tolist() == [2]
    assert curves(TWO, {}).empty
    assert curves(TWO.iloc[:0], {1: 1}).empty


def test_a_curve_without_a_clean_point_has_no_relative_value():
    assert curves(TWO[TWO["level"] > 0], {1: 1})["relative"].isna().all()


def test_the_area_is_that_of_numpys_trapezoid_rule_over_the_span():
    levels = np.array([0.0, 0.1, 0.4, 1.0])
    right = np.random.default_rng(0).random((4, 300))
    found = area([(levels, right)])
    assert found.mean == pytest.approx(np.trapezoid(right.mean(axis=1), levels))
    assert weights(levels).sum() == pytest.approx(1)
    assert weights(np.array([0.5])).tolist() == [1.0]


def test_the_interval_of_an_area_is_the_bootstraps_to_a_few_per_cent():
    right = (np.random.default_rng(1).random((3, 2000)) < [[0.9], [0.6], [0.3]]).astype(float)
    levels = np.array([0.0, 1.0, 2.0])
    ours, theirs = area([(levels, right)]), bootstrap(weights(levels) @ right)
    assert ours.n == 2000
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.001)


def test_several_kinds_count_alike_picture_by_picture():
    levels = np.array([0.0, 1.0])
    one, other = np.array([[1.0, 1.0], [1.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 1.0]])
    found = area([(levels, one), (levels, other)])
    assert (found.mean, found.low, found.high) == (0.75, 0.75, 0.75)
    with pytest.raises(ValueError, match="measured on different pictures"):
        area([(levels, one), (levels, other[:, :1])])


def test_the_interval_over_runs_is_students():
    found = over_runs([0.5, 0.6, 0.7])
    assert found.mean == pytest.approx(0.6)
    assert found.high - found.mean == pytest.approx(4.303 * 0.1 / math.sqrt(3))
    assert math.isnan(over_runs([0.5]).low)
    assert over_runs([0.5] * 200).low == 0.5


def test_runs_are_pooled_by_all_their_settings_but_the_seed():
    configs = {
        run: with_overrides(preset(name).config, {"train.seed": seed}).model_dump(mode="json")
        for run, name, seed in ((3, "tanh", 0), (4, "relu", 0), (7, "tanh", 5))
    }
    assert same_settings({**configs, 9: {"lr": 0.1}}) == {3: 3, 4: 4, 7: 3, 9: 9}


def test_classes_are_read_out_by_name():
    found = per_class(TWO, "gaussian_noise")
    assert found["class"].unique().tolist() == ["cat", "dog"]
    assert found.loc[found["class"] == "dog", "accuracy"].isna().all()
    assert len(found) == 8


def test_the_papers_accuracy_stands_beside_a_run_like_its_own():
    def of(name, **changes):
        return published(with_overrides(preset(name).config, changes).model_dump(mode="json"))

    parquet = {"data.name": "parquet:/data/cifar10", "data.augment": "flip_crop"}
    assert of("paper-tanh-pn", **parquet).accuracy == 0.8261
    assert of("paper-tanh-pn", **{"data.name": "cifar10"}).accuracy == 0.805
    assert of("paper-relu", **{"data.name": "cifar10"}).accuracy == 0.767
    assert of("paper-tanh", **{"data.name": "cifar10"}) is None
    assert of("paper-tanh-pn") is None
    assert published({"lr": 0.1}) is None
