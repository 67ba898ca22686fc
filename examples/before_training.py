"""What is wrong with a network, before any training: one batch, forward and back."""

import torch
from torch import nn

import gradscope


def sigmoid_net(depth: int) -> nn.Sequential:
    hidden = [module for _ in range(depth - 1) for module in (nn.Linear(64, 64), nn.Sigmoid())]
    return nn.Sequential(*hidden, nn.Linear(64, 10))


torch.manual_seed(0)
batch = torch.randn(50, 64), torch.randint(0, 10, (50,))
for depth in (2, 12):
    print(f"{depth} layers: {gradscope.doctor(sigmoid_net(depth), batch)}")
