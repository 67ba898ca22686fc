"""A little network, and what a run of it left in the store."""

import torch
from torch import nn

import gradscope


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))


def pictures(n=24):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 4, generator=generator), torch.randint(0, 2, (n,), generator=generator)


def only_run(store):
    """The one run of a store."""
    reader = gradscope.open(store)
    (run_id,) = reader.runs()["id"]
    return reader.run(run_id)


def curve(run, name):
    """(step, value) of each point."""
    points = run.metrics().query("name == @name")
    return list(zip(points["step"], points["value"], strict=True))


def gradient_rms(run, step):
    """Of every layer, by name."""
    rows = run.layer_stats(["gradient"]).query("step == @step")
    return dict(zip(rows["name"], rows["rms"], strict=True))


def steps(run):
    return sorted(run.layer_stats(["gradient"])["step"].unique())


def rms(gradient):
    return gradient.double().square().mean().sqrt().item()
