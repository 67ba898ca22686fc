"""How well a benchmark's median is known."""

import numpy as np

from benchmarks.pseudo_norm import median_interval


def test_it_is_the_values_beside_the_middle() -> None:
    assert median_interval([float(i) for i in range(100)]) == (40.0, 59.0)


def test_of_few_values_it_is_all_of_them() -> None:
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)


def test_nineteen_of_twenty_such_intervals_hold_the_median() -> None:
    rng = np.random.default_rng(0)
    low, high = np.array([median_interval(rng.exponential(size=60).tolist()) for _ in range(4000)]).T
    assert 0.94 < ((low <= np.log(2)) & (np.log(2) <= high)).mean() < 0.97
