"""Histograms of other programs in our bins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope import histogram
from gradscope.exchange.rebin import Buckets, rebin


def buckets(*rows):
    left, right, counts = np.array(rows, dtype=float).reshape(-1, 3).T
    return Buckets(left=left, right=right, counts=counts)


def filled(counts):
    """{log2 of the lower edge: count} of the bins that are not empty."""
    return {histogram.LOWEST + i / 2: int(counts[i]) for i in np.flatnonzero(counts)}


def test_a_bucket_within_a_bin_stays_whole():
    assert filled(rebin(buckets((1.1, 1.2, 7))).counts) == {0.0: 7}


def test_a_bucket_over_several_bins_is_shared_out_by_width():
    assert filled(rebin(buckets((1, 4, 300))).counts) == {0.0: 41, 0.5: 59, 1.0: 83, 1.5: 117}


def test_negative_values_count_by_their_magnitude():
    found = rebin(buckets((-2, -1, 10), (-1, 1, 0), (1, 2, 10)))
    assert filled(found.counts) == {0.0: 8, 0.5: 12}
    assert found.n == 20


def test_a_bucket_across_zero_is_spread_over_both_sides():
    found = rebin(buckets((-1, 3, 4000)))
    assert (found.zeros, found.n) == (0, 4000)
    assert int(found.counts[histogram.LOWEST * -2 :].sum()) == 2000


def test_buckets_of_a_single_value_are_exact():
    found = rebin(buckets((-1, -1, 2), (0, 0, 5), (1, 1, 3)))
    assert (filled(found.counts), found.zeros) == ({0.0: 5}, 5)


def test_values_beyond_the_ends_fall_into_the_end_bins():
    found = rebin(buckets((1e-60, 2e-60, 1), (1e60, 2e60, 2)))
    assert (found.counts[0], found.counts[-1]) == (1, 2)


def test_nothing_stays_nothing():
    empty = buckets()
    assert rebin(empty).n == 0
    assert np.isnan(empty.mean_abs())


def test_the_moments_are_those_of_values_that_lie_evenly():
    values = np.concatenate([np.linspace(-1, 3, 400_001), np.linspace(3, 5, 200_001)])
    given_buckets = buckets((-1, 3, 400), (3, 5, 200))
    assert given_buckets.mean_abs() == pytest.approx(np.abs(values).mean(), rel=1e-4)
    assert given_buckets.mean_square() == pytest.approx(np.square(values).mean(), rel=1e-4)


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=40), st.integers(0, 600))
def test_our_own_bins_come_back_to_the_last_count(counts, first):
    edges = 2.0 ** histogram.edges_log2()[first : first + len(counts) + 1]
    counts = counts[: len(edges) - 1]
    found = rebin(Buckets(left=edges[:-1], right=edges[1:], counts=np.array(counts, dtype=float)))
    assert found.counts[first : first + len(counts)].tolist() == counts
    assert found.n == sum(counts)


@given(st.lists(st.tuples(st.floats(0.01, 10), st.integers(0, 1000)), min_size=1, max_size=30), st.floats(-100, 100))
def test_counts_always_add_up(widths, begin):
    edges = begin + np.concatenate([[0.0], np.cumsum([w for w, _ in widths])])
    counts = np.array([c for _, c in widths], dtype=float)
    found = rebin(Buckets(left=edges[:-1], right=edges[1:], counts=counts))
    assert found.n == counts.sum()
    assert found.counts.min() >= 0


def test_it_agrees_with_values_put_into_the_bins_one_by_one():
    edges = np.linspace(-0.3, 0.7, 11)
    counts = np.arange(10.0) * 1000
    each = zip(edges[:-1], edges[1:], counts.astype(int), strict=True)
    values = np.concatenate([np.linspace(a, b, c, endpoint=False) for a, b, c in each])
    slow = histogram.count(values + 1e-9)
    fast = rebin(Buckets(left=edges[:-1], right=edges[1:], counts=counts)).counts
    assert np.abs(slow - fast).max() <= 3
