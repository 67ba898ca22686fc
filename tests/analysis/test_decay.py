import numpy as np
import pandas as pd
import pytest

from gradscope.analysis.decay import fit, of_profile, worst_layer


def profile(rms: list[float | None], **columns: list[int]) -> pd.DataFrame:
    n = len(rms)
    frame = {"layer": range(n), "name": [f"fc{i + 1}" for i in range(n)], "n": 100, "rms": rms}
    frame |= {"nan": 0, "pos_inf": 0, "neg_inf": 0}
    return pd.DataFrame(frame | columns).astype({"rms": "float64"})


def test_a_factor_of_a_fifth_a_layer_is_found_exactly() -> None:
    found = of_profile(profile([0.2**k for k in range(9, -1, -1)]))
    assert found.factor == pytest.approx(0.2)
    assert found.r2 == pytest.approx(1.0)
    assert found.verdict == "vanishing from fc7 down"


@pytest.mark.parametrize(
    ("rms", "verdict"),
    [
        ([0.010, 0.012, 0.011, 0.009], "flat"),
        ([100.0, 10.0, 1.0, 0.1, 0.01, 0.01], "exploding from fc3 down"),
        ([0.0, 0.0, 1e-3, 1e-2], "zero in 2 layers"),
        ([0.0, 0.0], "zero in every layer"),
        ([0.5], "too few layers to tell"),
        ([], "too few layers to tell"),
    ],
)
def test_the_verdict_in_words(rms: list[float], verdict: str) -> None:
    assert of_profile(profile(rms)).verdict == verdict


def test_values_that_are_not_finite_come_first() -> None:
    assert of_profile(profile([1e-9, None, 1.0], nan=[0, 100, 0])).verdict == "not finite in 1 layer"


def test_a_layer_that_was_not_measured_is_left_out() -> None:
    assert of_profile(profile([0.01, None, 0.01], n=[100, 0, 100])).verdict == "flat"


def test_one_odd_layer_does_not_bend_the_line() -> None:
    layer = np.arange(20.0)
    rms = 10.0 ** (0.1 * layer - 5)
    rms[7] *= 1e6
    line = fit(layer, rms)
    assert (line.slope, line.intercept) == pytest.approx((0.1, -5.0))


def test_the_slope_is_the_median_of_all_pairs() -> None:
    random = np.random.default_rng(0)
    layer, rms = np.arange(12.0), random.lognormal(0, 2, 12)
    logs = np.log10(rms)
    slow = np.median([(logs[j] - logs[i]) / (j - i) for i in range(12) for j in range(i + 1, 12)])
    assert fit(layer, rms).slope == pytest.approx(slow)


def test_nothing_to_fit() -> None:
    line = fit(np.array([0.0, 1.0]), np.array([0.0, np.nan]))
    assert np.isnan([line.slope, line.low, line.high, line.intercept, line.r2]).all()


def test_the_worst_layer_is_the_lowest_beside_the_median() -> None:
    assert worst_layer(profile([0.001, 0.1, 0.1, 0.2])) == ("fc1", pytest.approx(0.01))
    assert worst_layer(profile([0.0, 0.0])) == ("fc1", 0.0)
    assert worst_layer(profile([None])) is None
