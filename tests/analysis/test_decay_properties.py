"""What is planted is found: slopes, intervals, knees, in networks of any depth, through noise and odd layers."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope.analysis.decay import bends, course, fit, half_depth, in_words, of_profile
from gradscope.analysis.knee import find_knee

slopes = st.floats(-2, 2)
levels = st.floats(-30, 5)


def profile(logs: np.ndarray, step: int = 0) -> pd.DataFrame:
    n = len(logs)
    frame = {"step": step, "layer": range(n), "name": [f"fc{i + 1}" for i in range(n)], "n": 100, "rms": 10.0**logs}
    return pd.DataFrame(frame | {"depth": np.linspace(0, 1, n), "nan": 0, "pos_inf": 0, "neg_inf": 0})


@given(slope=slopes, level=levels, depth=st.integers(2, 60))
def test_a_planted_slope_is_recovered_with_its_factor_and_half_depth(slope: float, level: float, depth: int) -> None:
    layer = np.arange(depth, dtype=float)
    found = of_profile(profile(level + slope * layer))
    assert found.factor == pytest.approx(10.0**-slope, rel=1e-6)
    assert (found.line.low, found.line.high) == pytest.approx((slope, slope), abs=1e-6)
    if abs(slope) > 1e-3:
        assert found.half_depth == pytest.approx(np.log10(2) / abs(slope), rel=1e-4)
    assert found.knee is None


@given(slope=slopes, depth=st.integers(12, 60), seed=st.integers(0, 1000))
def test_a_quarter_of_wild_layers_does_not_move_the_slope_far(slope: float, depth: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    layer = np.arange(depth, dtype=float)
    logs = slope * layer + random.normal(0, 0.02, depth)
    wild = random.choice(depth, depth // 4, replace=False)
    logs[wild] += random.choice([-6, 6], wild.size)
    assert fit(layer, 10.0**logs).slope == pytest.approx(slope, abs=0.25)


def test_the_interval_holds_the_planted_slope_in_19_cases_of_20() -> None:
    random = np.random.default_rng(3)
    layer = np.arange(20.0)
    lines = [fit(layer, 10.0 ** (0.1 * layer + random.normal(0, 0.3, 20))) for _ in range(400)]
    held = np.mean([line.low <= 0.1 <= line.high for line in lines])
    assert 0.93 <= held <= 0.98


def test_a_wider_scatter_makes_a_wider_interval() -> None:
    layer, noise = np.arange(20.0), np.random.default_rng(0).normal(0, 1, 20)
    widths = [fit(layer, 10.0 ** (0.1 * layer + scale * noise)) for scale in (0.01, 0.1, 1.0)]
    assert [w.high - w.low for w in widths] == sorted(w.high - w.low for w in widths)


@given(at=st.integers(5, 20), below=st.floats(0.15, 1.5), seed=st.integers(0, 100))
def test_flat_and_then_falling_is_found_at_its_layer(at: int, below: float, seed: int) -> None:
    layer = np.arange(26.0)
    logs = -3 + below * np.minimum(layer - at, 0) + np.random.default_rng(seed).normal(0, 0.03, 26)
    knee = find_knee(layer, logs)
    assert knee is not None
    assert knee.at == pytest.approx(at, abs=1)
    assert knee.slope_below == pytest.approx(below, abs=0.05)
    assert knee.slope_above == pytest.approx(0, abs=0.05)


@given(depth=st.integers(7, 40), slope=slopes, odd=st.integers(0, 39), size=st.floats(-4, 4))
def test_one_odd_layer_makes_no_knee(depth: int, slope: float, odd: int, size: float) -> None:
    layer = np.arange(depth, dtype=float)
    logs = slope * layer
    logs[odd % depth] += size
    assert find_knee(layer, logs) is None


def test_noise_alone_seldom_makes_a_knee() -> None:
    random = np.random.default_rng(1)
    layer = np.arange(20.0)
    found = [find_knee(layer, 0.1 * layer + random.normal(0, 0.2, 20)) for _ in range(200)]
    assert sum(k is not None for k in found) <= 4


def test_in_words_the_knee_is_told_from_the_output_down() -> None:
    layer = np.arange(14.0)
    logs = -2 + np.log10(1 / 0.31) * np.minimum(layer - 7, 0)
    found = of_profile(profile(logs))
    names = [f"fc{i + 1}" for i in range(14)]
    assert in_words(found, names) == "flat until fc8, then \N{MULTIPLICATION SIGN}0.310 a layer"
    assert in_words(of_profile(profile(-2 + 0.5 * layer)), names) == "\N{MULTIPLICATION SIGN}0.316 a layer"


def test_two_lines_that_are_both_flat_are_told_as_one() -> None:
    layer = np.arange(30.0)
    found = of_profile(profile(-2 - 0.015 * np.abs(layer - 12)))
    assert found.knee is not None
    assert in_words(found, [f"fc{i + 1}" for i in range(30)]) == "flat"


def test_a_fitted_line_has_a_corner_at_its_knee() -> None:
    layer = np.arange(14.0)
    straight, bent = (of_profile(profile(-2 + 0.5 * np.minimum(layer - at, 0))) for at in (13, 7))
    corners = {
        "straight": bends(straight, 0, 13),
        "bent": bends(bent, 0, 13),
        "none": bends(of_profile(profile(np.zeros(0))), 0, 0),
    }
    assert corners["straight"] == [pytest.approx(end, abs=1e-6) for end in ((0, -8.5), (13, -2))]
    assert corners["bent"] == [pytest.approx(end, abs=1e-3) for end in ((0, -5.5), (7, -2), (13, -2))]
    assert corners["none"] == []


def test_by_relative_depth_a_shallow_and_a_deep_net_with_one_loss_in_all_are_equal() -> None:
    shallow, deep = (of_profile(profile(np.linspace(-6, -2, n)), by="depth") for n in (5, 50))
    assert shallow.factor == pytest.approx(deep.factor) == pytest.approx(1e-4)
    assert shallow.half_depth == pytest.approx(np.log10(2) / 4)


def test_the_course_follows_a_cure() -> None:
    layer = np.arange(10.0)
    map_ = pd.concat([profile(-2 + slope * layer, step) for step, slope in ((0, 0.7), (10, 0.4), (20, 0.0))])
    found = course(map_)
    assert found["step"].tolist() == [0, 10, 20]
    assert found["factor"].tolist() == pytest.approx([10**-0.7, 10**-0.4, 1.0])
    assert found["verdict"].tolist() == ["vanishing from fc7 down", "vanishing from fc6 down", "flat"]
    assert found["half_depth"].tolist()[-1] == half_depth(0.0)
    assert course(map_.iloc[:0]).empty


def test_a_slow_decay_that_comes_to_decades_over_many_layers_is_not_called_flat() -> None:
    found = of_profile(profile(-2 + np.log10(1 / 0.9) * np.arange(50.0)))
    assert in_words(found, [f"fc{i + 1}" for i in range(50)]) == "\N{MULTIPLICATION SIGN}0.900 a layer"
