"""The share of saturated outputs, counted by the compiled kernel and by PyTorch."""

import pytest
import torch

from gradscope.recorder.measure import share_beyond, wait_until_compiled

NAN, INF = torch.nan, torch.inf


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_it_counts_what_lies_beyond_either_end(dtype) -> None:
    wait_until_compiled()
    some = torch.tensor([[-INF, -0.98, -0.5, 0.0], [0.5, 0.98, INF, NAN]], dtype=dtype)
    assert float(share_beyond(some, -0.97, 0.97)) == 0.5
    assert float(share_beyond(some.T, -0.97, 0.97)) == 0.5
    assert float(share_beyond(some[:, :0], -0.97, 0.97)) == 0.0


def test_the_ends_themselves_are_inside_in_the_elements_own_precision() -> None:
    wait_until_compiled()
    at_the_end = torch.full((3,), 0.97)  # the float32 nearest to it is above it
    assert float(at_the_end[0]) > 0.97
    assert float(share_beyond(at_the_end, -0.97, 0.97)) == 0.0


def test_the_kernel_counts_as_pytorch_does() -> None:
    assert wait_until_compiled()
    some = torch.randn(1001, generator=torch.Generator().manual_seed(0))
    expected = ((some < 0.03) | (some > 0.97)).double().mean()
    assert share_beyond(some, 0.03, 0.97) == pytest.approx(expected.item())
