"""The amplification that the page shows is that between two real networks."""

import math

import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn import functional

import gradscope
from gradscope.analysis.amplification import COLUMNS, of_profile, reach
from gradscope.config import BackwardGradientNorm, GradientAmplification, Mlp, PseudoNorm, RunConfig
from gradscope.methods import build_methods
from gradscope.models import build_model
from gradscope.records import Kind
from gradscope.store import open_store, read

X, Y = torch.randn(6, 1, 2, 3, generator=torch.Generator().manual_seed(0)), torch.arange(6) % 3


def network(*settings):
    model = build_model(Mlp(depth=7, width=8), (1, 2, 3), 3, seed=1)
    for method in build_methods(settings):
        model = method.adapt(model, torch.Generator().manual_seed(0))
    return model


def recorded(path, settings):
    """Profile and gains of one step of a network under a method."""
    model = network(settings)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    config = RunConfig(methods=(settings,)).model_dump(mode="json")
    with gradscope.init(store=path, config=config) as run:
        run.watch(model, optimizer)
        functional.cross_entropy(model(X), Y).backward()
        optimizer.step()
    store = open_store(path)
    return read.profile(store, [run.id], Kind.GRADIENT), read.gains(store, [run.id]), read.run(store, run.id).config


@pytest.mark.parametrize(
    "settings",
    [
        PseudoNorm(scope="batch"),
        PseudoNorm(scope="batch", every=1),
        PseudoNorm(scope="batch", form="dual"),
        PseudoNorm(scope="batch", form="dual", every=3),
        GradientAmplification(),
        BackwardGradientNorm(every=2),
    ],
    ids=lambda s: f"{s.name}-{getattr(s, 'form', '')}",
)
def test_the_plain_gradient_is_found_back(tmp_path, settings):
    profile, gains, config = recorded(tmp_path / "runs.db", settings)
    found = of_profile(profile, gains, profile.head(0), {1: reach(config)})
    plain = network()
    functional.cross_entropy(plain(X), Y).backward()
    expected = [m.weight.grad.square().mean().sqrt().item() for m in plain.modules() if isinstance(m, nn.Linear)]
    assert list(found.columns) == COLUMNS
    assert found["plain_rms"].tolist() == pytest.approx(expected, rel=1e-4)


def rows(**columns):
    return pd.DataFrame({"run": 1, "step": 5, "name": "fc", "depth": 0.0, **columns})


def test_clipping_counts_and_what_was_recorded_at_another_step_does_not():
    profile = rows(layer=[0, 1, 2], rms=[0.5, 1.0, 2.0])
    gains = rows(layer=[1], method="pseudo_norm", gain=4.0, share_above_one=0.3)
    raw = rows(layer=[0, 1], rms=[1.0, 0.0])
    found = of_profile(profile, gains, raw, {1: reach({})})
    assert found["amplification"].tolist()[::2] == [2.0, 1.0]
    assert math.isnan(found["amplification"][1])
    assert found["gain"].tolist()[1] == 4.0
    assert found["share_above_one"].tolist()[1] == 0.3
    late = gains.assign(step=6)
    assert of_profile(profile, late, raw.assign(step=4), {1: reach({})}).empty


def test_a_run_without_a_method_has_no_rows():
    profile = rows(layer=[0, 1], rms=1.0)
    nothing = rows(layer=[], rms=[], method=[], gain=[], share_above_one=[])
    found = of_profile(profile, nothing, nothing, {1: reach({})})
    assert found.empty
    assert list(found.columns) == COLUMNS


def test_settings_of_somebody_else_have_the_reach_of_the_direct_form():
    assert reach({"methods": "none", "lr": 0.1}) == reach({}) == {**reach({"methods": [{"name": "pseudo_norm"}]})}
