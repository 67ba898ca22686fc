"""The compiled backward pass does what the plain one does, and where it cannot be had the plain one stands in."""

import shutil

import pytest
import torch

from gradscope.methods import pseudo_norm
from gradscope.methods.fused import _compiled, fused


def test_a_cpu_takes_the_function_as_it_is():
    assert fused(pseudo_norm.direct, "cpu") is pseudo_norm.direct


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU needs g++")
@pytest.mark.parametrize("treatment", [pseudo_norm.direct, pseudo_norm.local])
@pytest.mark.parametrize("scope", ["sample", "batch"])
def test_the_compiled_treatment_equals_the_plain_one_for_batches_of_any_size(treatment, scope):
    for shape in ((5, 7), (3, 7), (5, 2, 4, 4)):
        saved, error = torch.tanh(torch.randn(shape)), torch.randn(shape)
        before = saved.clone()
        plain = treatment(saved, error, pseudo_norm.TANH, scope)
        compiled = _compiled(treatment)(saved, error, pseudo_norm.TANH, scope)
        torch.testing.assert_close(compiled, plain, rtol=1e-5, atol=1e-6)
        assert torch.equal(saved, before)


def test_where_compiling_fails_the_plain_function_works_on_and_says_so_once(monkeypatch, caplog):
    def refuse(function, **options):
        def call(*arguments):
            raise torch._dynamo.exc.BackendCompilerFailed(lambda: None, RuntimeError("no C compiler"), None)

        return call

    monkeypatch.setattr(torch, "compile", refuse)
    add = _compiled(lambda a, b: a + b)
    assert [add(1, 2), add(3, 4)] == [3, 7]
    assert len(caplog.records) == 1
    assert "runs unfused here, somewhat slower" in caplog.text
