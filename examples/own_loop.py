"""Your own loop with the recorder attached: two lines, and the run stands in the dashboard (`gradscope ui`)."""

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional

import gradscope

torch.manual_seed(0)
digits = load_digits()
images = torch.tensor(digits.data, dtype=torch.float32) / 8 - 1
labels = torch.tensor(digits.target)

model = nn.Sequential(nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 64), nn.Sigmoid(), nn.Linear(64, 10))
optimizer = torch.optim.SGD(model.parameters(), lr=0.5)

with gradscope.init(name="own loop", config={"lr": 0.5, "activation": "sigmoid"}) as run:
    run.watch(model, optimizer, log="all")
    for _ in range(3):
        for batch in torch.randperm(len(labels)).split(50):
            loss = functional.cross_entropy(model(images[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            run.log({"train_loss": loss})

print(f"run {run.id} is in {run.store.name}; `gradscope ui` shows it")
