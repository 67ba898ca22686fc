"""The compiled backward pass against the operations of PyTorch that it stands for."""

import pytest
import torch
from torch import Tensor

from gradscope.methods import slopes
from gradscope.methods.pseudo_norm import direct, local, plain, pseudo_norm
from gradscope.methods.smooth import SIGMOID, TANH, Smooth
from gradscope.native import ALONE

BOTH = pytest.mark.parametrize("smooth", [TANH, SIGMOID], ids=["tanh", "sigmoid"])


def some(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def compared(smooth: Smooth, saved: Tensor, error: Tensor, scope: str) -> None:
    close = {
        "rtol": 1e-5 if saved.dtype == torch.float32 else 1e-12,
        "atol": 1e-6 if saved.dtype == torch.float32 else 0,
    }
    for treatment in (direct, local, plain):
        for above in (
            None,
            torch.linspace(1, 3, len(saved), dtype=saved.dtype),
            torch.full((1,), 2, dtype=saved.dtype),
        ):
            wanted, wanted_gains = treatment(saved, error, smooth, scope, above)
            how = {"applied": treatment is direct, "told": treatment is not plain, "above": above}
            out, gains = slopes.treat(saved, error, smooth.kind, scope, **how)
            torch.testing.assert_close(out, wanted, **close)
            torch.testing.assert_close(gains, None if wanted_gains is None else wanted_gains.flatten(), **close)
            assert out.stride() == error.stride()


@BOTH
@pytest.mark.parametrize("scope", ["sample", "batch"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(5, 7), (1, 3), (3, 2, 4, 5), (2, ALONE)], ids=str)
def test_it_gives_what_the_operations_give(shape, dtype, scope, smooth) -> None:
    saved, error = smooth.function(some(*shape, dtype=dtype)), some(*shape, dtype=dtype, seed=1)
    compared(smooth, saved, error, scope)


@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_the_error_is_the_same_where_nobody_asks_for_the_gain(scope) -> None:
    saved, error = torch.tanh(some(5, 7)), some(5, 7, seed=1)
    asked, unasked = (
        slopes.treat(saved, error, slopes.TANH, scope, applied=True, told=told)[0] for told in (True, False)
    )
    assert torch.equal(asked, unasked)


@BOTH
def test_channels_may_come_last(smooth) -> None:
    saved, error = (
        t.to(memory_format=torch.channels_last) for t in (smooth.function(some(3, 4, 5, 2)), some(3, 4, 5, 2))
    )
    compared(smooth, saved, error, "sample")


def test_several_threads_give_what_one_gives() -> None:
    saved, error = torch.tanh(some(6, ALONE)), some(6, ALONE, seed=1)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            treated = [slopes.treat(saved, error, slopes.TANH, scope, applied=True) for scope in ("sample", "batch")]
            found.append([out for out, _ in treated])
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, two) for one, two in zip(*found, strict=True))


def test_a_saturated_sample_keeps_its_zeros_and_a_broken_one_is_seen() -> None:
    saved = torch.tensor([[1.0, -1.0], [torch.nan, 0.0], [0.0, 0.0]])
    out, gains = slopes.treat(saved, torch.ones(3, 2), slopes.TANH, "sample", applied=True)
    assert out[0].tolist() == [0.0, 0.0]
    assert gains[0].item() == pytest.approx(1e12)
    assert out[1].isnan().all()
    assert (out[2].tolist(), gains[2].item()) == ([1.0, 1.0], 1.0)


@pytest.mark.parametrize(
    ("saved", "error"),
    [
        (some(4, 6), some(6, 4).T),
        (some(4, 6), some(4, 6, dtype=torch.float32)),
        (some(4, 6, dtype=torch.bfloat16), some(4, 6, dtype=torch.bfloat16)),
        (some(6, 4).T, some(6, 4).T),
        (some(0, 6), some(0, 6)),
    ],
    ids=["other order", "other type", "half", "samples not in one piece", "empty"],
)
def test_what_it_cannot_take_is_left_to_the_operations(saved, error) -> None:
    assert slopes.treat(saved, error, slopes.TANH, "sample", applied=True) is None


def test_a_gain_of_another_type_is_left_to_the_operations() -> None:
    saved, error = torch.tanh(some(4, 6)), some(4, 6, seed=1)
    assert slopes.treat(saved, error, slopes.TANH, "sample", applied=False, above=torch.ones(4)) is None


def test_an_error_in_another_order_goes_through_all_the_same() -> None:
    z = some(4, 6).requires_grad_()
    pseudo_norm(z).backward(some(6, 4, seed=1).T)
    expected, _ = direct(torch.tanh(z.detach()), some(6, 4, seed=1).T, TANH, "sample")
    torch.testing.assert_close(z.grad, expected)


def test_there_is_no_second_derivative() -> None:
    z = some(2, 3).requires_grad_()
    (first,) = torch.autograd.grad(pseudo_norm(z).square().sum(), z, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()
