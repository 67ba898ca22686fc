"""The bands around a mean: they end where the quantity does."""

import numpy as np
import pandas as pd
import pytest

from gradscope.analysis.curves import smoothed
from gradscope.analysis.robustness import CURVE_COLUMNS
from gradscope.figures.learning import learning_curve
from gradscope.figures.papers import reproduction
from gradscope.figures.robustness import robustness_curves, span
from gradscope.figures.style import styles

RUNS = styles({1: "sigmoid", 2: "tanh"})
METRICS = smoothed(
    pd.DataFrame(
        [
            (run, name, step, step / 10, value, step * 1.0)
            for run in (1, 2)
            for name in ("val_loss", "val_accuracy")
            for step, value in ((0, 0.9), (10, 0.5 * run), (20, np.nan if run == 2 else 0.2))
        ],
        columns=["run", "name", "step", "epoch", "value", "seconds"],
    ),
    0.5,
)
ROBUST = pd.DataFrame(
    [(1, "gaussian_noise", level, 0.99, 0.97, 1.02, 1.0, 0.98, 1.03, 1) for level in (0.0, 1.0)], columns=CURVE_COLUMNS
)
REPRODUCED = pd.DataFrame({"title": ["a"], "published": [0.8], "mean": [0.99], "deviation": [0.02]})
SEEDS = pd.DataFrame({"title": ["a", "a"], "seed": [0, 1], "accuracy": [0.98, 1.0]})


def test_the_band_of_an_accuracy_ends_at_what_there_is_and_the_figures_are_as_they_are() -> None:
    pooled = METRICS.assign(low=METRICS["value"] - 0.2, high=METRICS["value"] + 0.2)
    spec = learning_curve(pooled, {1: RUNS[1]}, what="accuracy").to_dict()
    band = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "area")
    rows = spec["datasets"][band["data"]["name"]]
    assert [row["value"] for row in rows] == [0.9, 0.5, 0.2]
    assert [row["low"] for row in rows] == pytest.approx([0.7, 0.3, 0.0])
    assert [row["high"] for row in rows] == pytest.approx([1.0, 0.7, 0.4])
    assert spec["title"]["subtitle"] == "Bands are cut at 100 %, where a mean ± deviation would go on"
    narrow = METRICS.assign(low=METRICS["value"] - 0.1, high=METRICS["value"] + 0.1)
    assert "subtitle" not in learning_curve(narrow, {1: RUNS[1]}, what="accuracy").to_dict()["title"]
    assert "subtitle" not in learning_curve(pooled, {1: RUNS[1]}, what="loss").to_dict()["title"]


def test_an_accuracy_that_was_logged_in_per_cent_ends_at_a_hundred() -> None:
    hundredfold = METRICS.assign(value=100 * METRICS["value"], smooth=100 * METRICS["smooth"])
    pooled = hundredfold.assign(low=hundredfold["value"] - 25, high=hundredfold["value"] + 25)
    spec = learning_curve(pooled, {1: RUNS[1]}, what="accuracy").to_dict()
    band = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "area")
    rows = spec["datasets"][band["data"]["name"]]
    assert [(row["low"], row["high"]) for row in rows] == [(65.0, 100.0), (25.0, 75.0), (0.0, 45.0)]
    assert spec["title"]["subtitle"].startswith("Bands are cut at 0 and 100 %,")


def test_a_band_under_noise_and_an_interval_beside_a_paper_stay_within_0_and_1() -> None:
    sure = ROBUST
    spec = robustness_curves(sure, RUNS, "gaussian_noise", family="noise").to_dict()
    rows = next(iter(spec["datasets"].values()))
    assert {(row["lower"], row["upper"], row["high"]) for row in rows} == {(0.97, 1.0, 1.02)}
    assert span(sure, "accuracy") == pytest.approx((0.9, 1.0))
    spec = reproduction(REPRODUCED, SEEDS, "A paper").to_dict()
    interval = spec["datasets"][spec["layer"][0]["data"]["name"]][0]
    assert (interval["low"], interval["high"], interval["accuracy"]) == (pytest.approx(0.97), 1.0, 0.99)


def test_a_share_of_the_clean_accuracy_may_pass_1() -> None:
    spec = robustness_curves(ROBUST, RUNS, "gaussian_noise", family="noise", measure="relative").to_dict()
    rows = next(iter(spec["datasets"].values()))
    assert {(row["lower"], row["upper"]) for row in rows} == {(0.98, 1.03)}
