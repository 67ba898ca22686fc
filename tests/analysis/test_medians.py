import doctest
import warnings

import numpy as np
import pytest

from gradscope.analysis import medians as module
from gradscope.analysis.medians import medians


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (5, 4), (40, 9)])
def test_they_are_numpys(shape: tuple[int, int], axis: int) -> None:
    rng = np.random.default_rng(0)
    for share in (0.0, 0.3, 0.9):
        values = rng.standard_normal(shape)
        values[rng.random(shape) < share] = np.nan
        values[rng.random(shape) < share / 4] = rng.choice([np.inf, -np.inf])
        with warnings.catch_warnings(action="ignore"):  # numpy's of rows without a value, and of inf - inf
            expected, found = np.nanmedian(values, axis=axis), medians(values, axis)
        np.testing.assert_array_equal(found, expected)


def test_of_nothing_there_is_none() -> None:
    assert np.isnan(medians(np.empty((2, 0)), axis=1)).tolist() == [True, True]
    assert medians(np.empty((0, 3)), axis=1).shape == (0,)


def test_the_example_holds() -> None:
    assert doctest.testmod(module).failed == 0
