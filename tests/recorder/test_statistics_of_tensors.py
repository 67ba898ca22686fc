"""Rows of statistics, from the plain reference and from the compiled kernel, against float64 NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from gradscope import histogram
from gradscope.recorder import cpu, measure, statistics
from gradscope.recorder.statistics import COUNTS, MAX_ABS, NAN, NEG_INF, POS_INF, SUM_ABS, SUM_SQUARES, ZEROS, N
from gradscope.records import Kind


def by_reference(tensors):
    return statistics.reference(tensors).numpy()


def by_kernel(tensors):
    return cpu.measure(tensors).rows()


@pytest.fixture(params=[by_reference, by_kernel], ids=["reference", "compiled"])
def rows_of(request):
    return request.param


def rms(row):
    return np.sqrt(row[SUM_SQUARES] / row[N])


@pytest.mark.parametrize("exponent", range(-40, 31, 5))
def test_rms_agrees_with_numpy_from_1e_minus_40_to_1e30(rows_of, exponent):
    values = (np.random.default_rng(0).normal(size=5000) * 10.0**exponent).astype(np.float32)
    (row,) = rows_of([torch.from_numpy(values)])
    wide = values.astype(np.float64)
    assert rms(row) == pytest.approx(np.sqrt(np.mean(wide**2)), rel=1e-9, abs=0)
    assert row[SUM_ABS] == pytest.approx(np.abs(wide).sum(), rel=1e-9, abs=0)
    assert row[MAX_ABS] == np.abs(wide).max()


def test_every_special_value_is_counted_in_its_place(rows_of):
    values = torch.tensor([0.0, -0.0, torch.nan, torch.inf, torch.inf, -torch.inf, 1.0, -2.0, 1e-45])
    (row,) = rows_of([values])
    assert [row[c] for c in (N, ZEROS, NAN, POS_INF, NEG_INF)] == [9, 2, 1, 2, 1]
    assert row[SUM_SQUARES] == 5.0
    assert row[MAX_ABS] == 2.0
    assert np.flatnonzero(row[COUNTS:]).tolist() == [22, 320, 322]


@given(arrays(np.float32, st.integers(0, 3000), elements=st.floats(width=32)))
def test_the_histogram_of_float32_is_exact_and_counts_add_up(values):
    (row,) = by_kernel([torch.from_numpy(values)])
    assert np.array_equal(row[COUNTS:], histogram.count(values))
    assert row[ZEROS : COUNTS + histogram.BINS].sum() == row[N] == values.size


BITS = {
    torch.float16: (np.int16, torch.int16),
    torch.bfloat16: (np.int16, torch.int16),
    torch.float32: (np.int32, torch.int32),
    torch.float64: (np.int64, torch.int64),
}


@st.composite
def any_bits(draw):
    """A tensor of any of the four types that holds any values at all: each pattern of bits may come."""
    dtype = draw(st.sampled_from(list(BITS)))
    of_numpy, of_torch = BITS[dtype]
    limits = np.iinfo(of_numpy)
    elements = st.integers(int(limits.min), int(limits.max)) | st.sampled_from([0, 1, int(limits.min)])
    bits = draw(arrays(of_numpy, st.integers(1, 300), elements=elements))
    assert torch.from_numpy(bits).dtype is of_torch
    return torch.from_numpy(bits).view(dtype)


def measured(tensors):
    return measure.measure(tensors).rows()


@pytest.mark.parametrize("way", [by_reference, measured], ids=["reference", "compiled"])
@given(tensor=any_bits())
def test_whatever_the_bits_counts_add_up_and_every_value_is_in_its_place(way, tensor):
    measure.wait_until_compiled()
    (row,) = way([tensor])
    wide = tensor.double().numpy()
    finite = np.abs(wide[np.isfinite(wide)])
    assert row[N] == wide.size == row[ZEROS:].sum()
    assert row[ZEROS] == (wide == 0).sum()
    assert row[NAN] == np.isnan(wide).sum()
    assert row[POS_INF] == np.isposinf(wide).sum()
    assert row[NEG_INF] == np.isneginf(wide).sum()
    assert np.array_equal(row[COUNTS:], histogram.count(wide))
    assert row[MAX_ABS] == (finite.max() if finite.size else 0.0)
    with np.errstate(over="ignore", under="ignore"):
        assert row[SUM_SQUARES] == pytest.approx((finite**2).sum(), rel=1e-12, abs=0)
        assert row[SUM_ABS] == pytest.approx(finite.sum(), rel=1e-12, abs=0)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(65_530, 200_000),
    decades=st.floats(0.0, 30.0),
    centre=st.floats(-25.0, 20.0),
    odd=st.sampled_from([0.0, 1e-4, 0.3, 1.0]),
    double=st.booleans(),
)
def test_long_tensors_of_any_spread_are_counted_exactly(seed, n, decades, centre, odd, double):
    dice = np.random.default_rng(seed)
    values = dice.normal(size=n) * 10.0 ** dice.uniform(centre - decades / 2, centre + decades / 2, n)
    strange = np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-42])
    values = np.where(dice.random(n) < odd, dice.choice(strange, n), values)
    values = values if double else values.astype(np.float32)
    (row,) = by_kernel([torch.from_numpy(values)])
    wide = values.astype(np.float64)
    finite = wide[np.isfinite(wide)]
    assert np.array_equal(row[COUNTS:], histogram.count(wide))
    assert row[ZEROS:].sum() == row[N] == n
    counts = [(wide == 0).sum(), np.isnan(wide).sum(), np.isposinf(wide).sum(), np.isneginf(wide).sum()]
    assert row[ZEROS : NEG_INF + 1].tolist() == counts
    assert row[SUM_SQUARES] == pytest.approx((finite**2).sum(), rel=1e-9, abs=0)


@pytest.mark.parametrize("dtype", list(BITS), ids=str)
def test_rms_of_every_type_agrees_with_numpy_wherever_it_has_numbers(dtype):
    dice = np.random.default_rng(0)
    # beyond 1e30 and below 1e-40 float32 itself has no numbers for all of a normal distribution
    lowest, highest = {torch.float16: (-6, 4)}.get(dtype, (-40, 30))
    tensors = [torch.from_numpy(dice.normal(size=3000) * 10.0**e).to(dtype) for e in range(lowest, highest + 1)]
    for way in (measured, by_reference):
        for tensor, row in zip(tensors, way(tensors), strict=True):
            stats = statistics.layer_stats(row, step=0, layer=0, kind=Kind.GRADIENT, blob=b"")
            wide = tensor.double().numpy()
            assert stats.rms == pytest.approx(np.sqrt(np.mean(wide**2)), rel=1e-6, abs=0)
            assert stats.rms > 0


def test_all_float32_bit_patterns_near_the_edges_fall_into_the_right_bin():
    whole = np.arange(0, 255, dtype=np.uint32)[:, None] << 23
    mantissas = np.array([0, 1, 0x3504F2, 0x3504F3, 0x3504F4, 0x3504F5, 0x7FFFFF], np.uint32)
    values = (whole + mantissas).ravel().view(np.float32)
    (row,) = by_kernel([torch.from_numpy(values)])
    assert np.array_equal(row[COUNTS:], histogram.count(values))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_kernel_and_reference_agree_on_many_tensors_of_every_size(threads):
    generator = torch.Generator().manual_seed(0)
    sizes = [0, 1, 3, 1023, 1024, 1025, 65_535, 65_536, 65_537, 300_000]
    tensors = [torch.randn(n, generator=generator) * 10.0 ** -(n % 30) for n in sizes]
    tensors += [torch.randn(70_000, generator=generator, dtype=torch.float64), torch.zeros(100_000)]
    tensors += [torch.randn(200_000, generator=generator).relu()]
    tensors[-1][150_000] = torch.nan
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        rows = by_kernel(tensors)
    finally:
        torch.set_num_threads(before)
    expected = by_reference(tensors)
    assert np.array_equal(
        rows[:, [N, *range(MAX_ABS, rows.shape[1])]], expected[:, [N, *range(MAX_ABS, rows.shape[1])]]
    )
    np.testing.assert_allclose(rows, expected, rtol=1e-12)


def test_the_kernel_gives_the_same_sums_whatever_the_number_of_threads():
    tensors = [torch.randn(400_000, generator=torch.Generator().manual_seed(1))]
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results += [by_kernel(tensors) for _ in range(5)]
    torch.set_num_threads(before)
    assert all(np.array_equal(r, results[0]) for r in results)


def test_compiled_blobs_are_those_of_the_definition():
    rows = by_reference([torch.randn(1000), torch.zeros(3), torch.tensor([1e-45, 1e38])])
    assert cpu.encode(rows) == [histogram.encode(row[COUNTS:].astype(np.int64)) for row in rows]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_tensors_are_measured_as_their_exact_values(dtype):
    values = (torch.randn(2000, generator=torch.Generator().manual_seed(0)) * 1e-6).to(dtype)
    (row,) = measure.measure([values]).rows()
    wide = values.double().numpy()
    assert rms(row) == pytest.approx(np.sqrt(np.mean(wide**2)), rel=1e-12, abs=0)
    assert np.array_equal(row[COUNTS:], histogram.count(wide))


def test_strides_and_memory_formats_do_not_matter():
    x = torch.randn(4, 6, 5, 3, generator=torch.Generator().manual_seed(0))
    forms = [x, x.contiguous(memory_format=torch.channels_last), x.transpose(0, 2), x.double()[:, ::1]]
    rows = measure.measure(forms[:3]).rows()
    assert np.array_equal(rows[0][COUNTS:], rows[1][COUNTS:])
    assert np.array_equal(rows[0][COUNTS:], rows[2][COUNTS:])


def test_of_a_sparse_tensor_the_implied_zeros_count():
    sparse = torch.sparse_coo_tensor(torch.tensor([[1, 1, 3]]), torch.ones(3, 2), (10, 2), check_invariants=True)
    (row,) = measure.measure([sparse]).rows()
    assert (row[N], row[ZEROS], row[MAX_ABS], row[SUM_SQUARES]) == (20, 16, 2.0, 10.0)


def test_a_large_tensor_is_thinned_by_a_stride_that_meets_every_column(monkeypatch):
    monkeypatch.setattr(measure, "LARGE", 1000)
    columns = torch.arange(64.0).repeat(100, 1)
    some = measure.thinned(columns)
    assert some.numel() == 915  # every 7th of 6,400
    assert len(some.unique()) == 64
    assert measure.thinned(columns[:10]).shape == (10, 64)


def test_rows_of_one_layer_add_up():
    whole = torch.randn(600, generator=torch.Generator().manual_seed(0))
    parts = by_reference([whole[:100], whole[100:]])
    both = np.zeros((2, statistics.WIDTH))
    statistics.add_rows(both, [1, 1], parts)
    np.testing.assert_allclose(both[1], by_reference([whole])[0], rtol=1e-12)
    assert not both[0].any()


def test_a_row_becomes_a_record_and_what_is_absent_is_none():
    (row,) = by_reference([torch.tensor([3.0, -4.0, torch.nan])])
    stats = statistics.layer_stats(row, step=7, layer=2, kind=Kind.GRADIENT, blob=b"x")
    assert (stats.n, stats.nan, stats.rms, stats.mean_abs, stats.max_abs) == (3, 1, pytest.approx(12.5**0.5), 3.5, 4.0)
    empty = statistics.layer_stats(row * 0, step=7, layer=2, kind=Kind.GRADIENT, blob=b"")
    assert (empty.n, empty.rms, empty.mean_abs, empty.max_abs, empty.histogram) == (0, None, None, None, None)


def test_a_tensor_without_a_finite_element_has_counts_but_no_moments():
    (row,) = by_reference([torch.full((4,), torch.nan)])
    stats = statistics.layer_stats(row, step=0, layer=0, kind=Kind.GRADIENT, blob=b"")
    assert (stats.n, stats.nan, stats.n_nonfinite, stats.rms, stats.max_abs) == (4, 4, 4, None, None)
