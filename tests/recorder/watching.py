"""A watch without a session: little networks, and a notebook that keeps what would be written."""

import pytest
import torch
from torch import nn

from gradscope.recorder.schedule import timetable
from gradscope.recorder.watch import Receiver, Watch


class Notebook:
    """Keeps what a watch hands over; the receiver a session would be."""

    def __init__(self):
        self.layers, self.records, self.skips = [], [], []

    @property
    def names(self):
        return [layer.name for layer in self.layers]

    def stats(self, step, layer, kind):
        (record,) = [r for r in self.records if r.step == step]
        (found,) = [s for s in record.stats() if s.layer == layer and s.kind == kind]
        return found

    def rms(self, step, layer, kind):
        return self.stats(step, layer, kind).rms


def watch(model, optimizer=None, *, every=1, log="all", layers=None, step=0):
    notebook = Notebook()
    receiver = Receiver(layers=notebook.layers.extend, record=notebook.records.append, skip=notebook.skips.append)
    made = Watch(model, optimizer, schedule=timetable(every), log=log, choice=layers, step=step, receiver=receiver)
    return made, notebook


def sgd(model, lr=0.1):
    return torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr)


def rms(tensor):
    return tensor.detach().double().square().mean().sqrt().item()


def close(value):
    return pytest.approx(value, rel=1e-6, abs=0)


def mlp(*activations):
    torch.manual_seed(0)
    a, b = activations or (nn.Tanh(), nn.Tanh())
    return nn.Sequential(nn.Linear(6, 8), a, nn.Linear(8, 8), b, nn.Linear(8, 3))


def pictures(n=5):
    return torch.randn(n, 6, generator=torch.Generator().manual_seed(1))


def step(model, optimizer, x=None):
    optimizer.zero_grad()
    loss = model(pictures() if x is None else x).square().mean()
    loss.backward()
    optimizer.step()
    return loss


def trace_of(model):
    return sum(
        len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) + len(m._backward_pre_hooks)
        for m in model.modules()
    )
