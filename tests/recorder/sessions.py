"""A little training into a session, and what the store says of it."""

import time

import torch
from torch import nn

from gradscope.store import open_store, read


def train(run, steps, log="gradients", every=1):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 2))
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    run.watch(model, optimizer, every=every, log=log)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(torch.randn(8, 4)).square().mean()
        loss.backward()
        optimizer.step()
        run.log({"loss": loss})
    return model, optimizer


def wait_until(true, seconds=60.0):
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def stored(path, run):
    return read.run(open_store(path), run.id)
