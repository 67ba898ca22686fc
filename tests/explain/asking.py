"""Small networks and pictures to ask about."""

import torch
from torch import nn

from gradscope.explain.question import Question, References

SHAPE = (3, 8, 8)


def smooth_cnn(seed: int = 0) -> nn.Module:
    """A smooth network with a rule for everything in it: 3x8x8 pictures, 4 classes."""
    torch.manual_seed(seed)
    layers = [nn.Conv2d(3, 6, 3, padding=1), nn.Tanh(), nn.Conv2d(6, 6, 3, stride=2, padding=1), nn.Tanh()]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(96, 4)).eval()


def linear(shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> nn.Module:
    """Logits = W x + b, of which every attribution is known."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], 4)).eval()


def ask(model: nn.Module, n: int = 3, shape: tuple[int, int, int] = SHAPE, seed: int = 0) -> Question:
    """Why does it give picture i the logit i mod 4?"""
    generator = torch.Generator().manual_seed(100 + seed)
    references = References(
        mean=torch.zeros(shape), black=torch.full(shape, -1.5), pool=torch.randn(8, *shape, generator=generator)
    )
    images = torch.randn(n, *shape, generator=generator)
    return Question(model=model, images=images, targets=torch.arange(n) % 4, references=references)
