"""The kernel for GPUs against the plain reference: interpreted on any machine, compiled where there is a GPU."""

import numpy as np
import pytest
import torch

from gradscope import histogram
from gradscope.recorder import measure, statistics
from gradscope.recorder.statistics import COUNTS, MAX_ABS, NAN, NEG_INF, POS_INF, SUM_ABS, SUM_SQUARES, ZEROS, N

pytest.importorskip("triton", reason="Triton is not made for this system")

EXPONENTS = range(-40, 31, 10)
SPECIAL = torch.tensor([0.0, -0.0, torch.nan, torch.inf, torch.inf, -torch.inf, 1.0, -2.0, 6e-8])
EDGES = torch.arange(0, 255, dtype=torch.int32)[:, None] * 2**23 + torch.tensor(
    [0, 1, 0x3504F2, 0x3504F3, 0x3504F4, 0x3504F5, 0x7FFFFF], dtype=torch.int32
)


def cases():
    g = torch.Generator().manual_seed(0)
    normal = {f"normal, 1e{e}": torch.randn(3000, generator=g).double().mul(10.0**e).float() for e in EXPONENTS}
    sizes = {f"{n} elements": torch.randn(n, generator=g) for n in (0, 1, 2047, 2048, 2049, 9000)}
    types = {
        f"{name} of {dtype}": values.to(dtype)
        for dtype in (torch.bfloat16, torch.float16, torch.float32, torch.float64)
        for name, values in {"special": SPECIAL, "normal": torch.randn(3000, generator=g) * 1e-6}.items()
    }
    return {
        **normal,
        **sizes,
        **types,
        "bit patterns at the bins' edges": EDGES.flatten().view(torch.float32),
        "every magnitude": 10.0 ** torch.empty(6000).uniform_(-45, 38, generator=g),
        "float64's whole range": 10.0 ** torch.empty(3000, dtype=torch.float64).uniform_(-320, 300, generator=g),
        "rectified": torch.randn(5000, generator=g).relu(),
        "zeros": torch.zeros(3000),
        "subnormals": torch.full((3000,), 1e-41),
        "infinities in one block of many": torch.where(torch.arange(9000) == 7000, -torch.inf, torch.ones(9000)),
        "not aligned": torch.randn(4001, generator=g)[1:],
    }


@pytest.fixture(scope="module")
def interpreted(tmp_path_factory):
    from interpreted import interpreted_rows

    found = cases()
    return dict(zip(found, interpreted_rows(list(found.values()), tmp_path_factory.mktemp("triton")), strict=True))


@pytest.mark.parametrize("name", cases())
def test_the_interpreted_kernel_agrees_with_the_reference(name, interpreted):
    agree(interpreted[name], cases()[name])


@pytest.mark.gpu
def test_the_compiled_kernel_agrees_with_the_reference():
    found = list(cases().values())
    for row, values in zip(measure.measure([t.cuda() for t in found]).rows(), found, strict=True):
        agree(row, values)


def agree(row, values):
    (expected,) = statistics.reference([values]).numpy()
    exact = [N, MAX_ABS, *range(ZEROS, len(row))]
    np.testing.assert_array_equal(row[exact], expected[exact])
    np.testing.assert_allclose(row[[SUM_SQUARES, SUM_ABS]], expected[[SUM_SQUARES, SUM_ABS]], rtol=1e-12)


def test_every_special_value_is_counted_in_its_place(interpreted):
    row = interpreted["special of torch.float32"]
    assert [row[c] for c in (N, ZEROS, NAN, POS_INF, NEG_INF)] == [9, 2, 1, 2, 1]
    assert row[MAX_ABS] == 2.0
    assert row[COUNTS:].sum() == 3


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_rms_agrees_with_numpy(exponent, interpreted):
    name = f"normal, 1e{exponent}"
    wide = cases()[name].double().numpy()
    assert np.sqrt(interpreted[name][SUM_SQUARES] / 3000) == pytest.approx(np.sqrt(np.mean(wide**2)), rel=1e-9)


def test_the_histogram_is_that_of_the_definition(interpreted):
    for name in ("bit patterns at the bins' edges", "every magnitude", "subnormals"):
        np.testing.assert_array_equal(interpreted[name][COUNTS:], histogram.count(cases()[name].numpy()))


def test_large_tensors_are_cut_into_a_bounded_number_of_chunks():
    from gradscope.recorder import cuda

    chunks, offsets = cuda._plan((10**9, 0, 12_345))
    assert len(chunks) <= cuda._PROGRAMS + 1
    assert chunks[chunks[:, 2] == 0, 1].sum() == 10**9
    assert chunks[-1].tolist() == [0, 12_345, 2]
    assert offsets[1] == chunks[0, 1]
