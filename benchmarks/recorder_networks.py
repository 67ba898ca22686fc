"""The trainings that recorders are measured on: batches of 50 random images or texts, plain SGD."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from gradscope.config import Resnet
from gradscope.models import build_model

BATCH = 50
_IMAGES = (3, 32, 32)
_WORDS, _TEXT, _WIDTH = 1000, 32, 128


def cnn() -> nn.Module:
    """Eight convolutions and two dense layers on 32x32 colour pictures, ReLU; 0.74 M parameters."""
    widths = [3, 32, 32, 64, 64, 128, 128, 128, 128]
    parts: list[nn.Module] = []
    for number, (a, b) in enumerate(pairwise(widths), start=1):
        parts += [nn.Conv2d(a, b, 3, padding=1), nn.ReLU(), *[nn.MaxPool2d(2)] * (number % 2 == 0)]
    return nn.Sequential(*parts, nn.Flatten(), nn.Linear(512, 300), nn.ReLU(), nn.Linear(300, 10))


def mlp() -> nn.Module:
    """Twelve dense layers of 610 tanh units on 784 inputs; 4.2 M parameters."""
    layers = [m for a, b in pairwise([784, *[610] * 11]) for m in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*layers, nn.Linear(610, 10))


def resnet20() -> nn.Module:
    """The ResNet of 20 layers for CIFAR-10, with batch normalisation; 0.27 M parameters."""
    return build_model(Resnet(depth=20), in_shape=_IMAGES, n_classes=10)


class Transformer(nn.Module):
    """Four encoder layers of width 128 with four heads on texts of 32 words, one class a text; 0.92 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.Embedding(_WORDS, _WIDTH)
        layer = nn.TransformerEncoderLayer(_WIDTH, 4, 512, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)
        self.out = nn.Linear(_WIDTH, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.encoder(self.words(x)).mean(1))


def _images() -> Tensor:
    return torch.randn(BATCH, *_IMAGES)


@dataclass(frozen=True, kw_only=True)
class Network:
    name: str
    build: Callable[[], nn.Module]
    inputs: Callable[[], Tensor]


NETWORKS = (
    Network(name="CNN", build=cnn, inputs=_images),
    Network(name="MLP", build=mlp, inputs=lambda: torch.randn(BATCH, 784)),
    Network(name="ResNet-20", build=resnet20, inputs=_images),
    Network(name="transformer", build=Transformer, inputs=lambda: torch.randint(0, _WORDS, (BATCH, _TEXT))),
)


class Training:
    """One network, its batch and its optimiser; `step` is a whole training step."""

    def __init__(self, network: Network) -> None:
        torch.manual_seed(0)
        self.model, self.inputs = network.build(), network.inputs()
        self.labels = torch.randint(0, 10, (BATCH,))
        self.loss = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)

    @property
    def n_parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())

    def backward(self) -> Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(self.model(self.inputs), self.labels)
        loss.backward()
        return loss

    def step(self) -> None:
        self.backward()
        self.optimizer.step()
