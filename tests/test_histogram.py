"""The one histogram: its edges, its counts, its stored form."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradscope import histogram


def test_a_power_of_two_begins_a_bin_and_sqrt_two_the_next():
    counts = histogram.count(np.array([1.0, np.nextafter(np.sqrt(2), 0), np.sqrt(2), 2.0]))
    bin_of_one = -2 * histogram.LOWEST
    assert counts[bin_of_one : bin_of_one + 3].tolist() == [2, 1, 1]


def test_edges_say_where_the_bins_lie():
    edges = histogram.edges_log2()
    assert (edges[0], edges[1], edges[-1], len(edges)) == (-160.0, -159.5, 160.0, histogram.BINS + 1)
    assert histogram.centres_log2()[0] == -159.75


def test_the_end_bins_are_open():
    counts = histogram.count(np.array([1e-300, -1e300]))
    assert counts[0] == counts[-1] == 1


def test_zeros_and_nonfinite_values_are_not_in_the_histogram():
    assert histogram.count(np.array([0.0, -0.0, np.nan, np.inf, -np.inf])).sum() == 0


@given(arrays(np.float32, st.integers(0, 200), elements=st.floats(width=32)))
def test_counts_and_the_others_add_up_to_the_number_of_elements(values):
    others = np.count_nonzero(values == 0) + np.count_nonzero(~np.isfinite(values))
    assert histogram.count(values).sum() + others == values.size


def test_each_value_lies_between_the_edges_of_its_bin():
    values = np.geomspace(1e-44, 1e38, 5000).astype(np.float32)
    edges = histogram.edges_log2()
    for value in values[values > 0]:
        (bin_,) = np.flatnonzero(histogram.count(np.array([value])))
        assert edges[bin_] <= np.log2(np.float64(value)) + 1e-12
        assert np.log2(np.float64(value)) - 1e-12 < edges[bin_ + 1]


@given(arrays(np.int64, histogram.BINS, elements=st.integers(0, 2**40), fill=st.just(0)))
def test_what_was_encoded_decodes_to_the_same_counts(counts):
    assert np.array_equal(histogram.decode(histogram.encode(counts)), counts)


def test_an_empty_histogram_is_an_empty_blob():
    assert histogram.encode(np.zeros(histogram.BINS, dtype=np.int64)) == b""
    assert histogram.decode(b"").sum() == 0


def test_a_typical_layer_takes_less_than_120_bytes():
    values = np.random.default_rng(0).normal(size=100_000)
    assert len(histogram.encode(histogram.count(values))) < 120


@pytest.fixture
def documented_decoder():
    """The decoder printed in the module's docstring, made runnable."""
    source = re.search(r"( +def decode.*)", histogram.__doc__, flags=re.DOTALL).group(1)
    namespace = {}
    exec("\n".join(line[4:] for line in source.splitlines()), namespace)
    return namespace["decode"]


def test_the_documented_decoder_reads_a_blob(documented_decoder):
    counts = histogram.count(np.random.default_rng(1).normal(size=1000))
    assert documented_decoder(histogram.encode(counts)) == counts.tolist()
