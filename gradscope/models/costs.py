"""What a network costs: parameters and multiply-accumulates, without a weight or a picture in memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gradscope.config import Settings
from gradscope.models.build import build_model
from gradscope.models.sizes import Shape


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """Cost of one network."""

    n_parameters: int
    """Trainable numbers."""
    macs: int
    """Multiply-accumulates of the convolutions and dense layers in one forward pass of one picture."""


def estimate(settings: Settings, in_shape: Shape, n_classes: int, methods: Sequence[Settings] = ()) -> Estimate:
    """Cost of the network that these settings make, methods included, computed on torch's meta device."""
    from gradscope.methods import build_methods  # methods know models; only this function knows both

    generator = torch.Generator()
    with torch.device("meta"):
        model = build_model(settings, in_shape, n_classes)
        for method in build_methods(methods):
            model = method.adapt(model, generator)
        macs = count_macs(model, torch.empty(1, *in_shape))
    return Estimate(n_parameters=sum(p.numel() for p in model.parameters() if p.requires_grad), macs=macs)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What a network was seen to do."""

    macs: int
    """Multiply-accumulates of its Linear and Conv2d, over all pictures."""
    parameters: int
    """Of the modules that were called, each once."""


def count_macs(model: nn.Module, images: Tensor) -> int:
    """Multiply-accumulates of every Linear and Conv2d in one forward pass of the images [B, C, H, W], in eval mode."""
    with counting(model) as counted, torch.no_grad():
        model(images)
    return counted().macs


@contextmanager
def counting(model: nn.Module) -> Iterator[Callable[[], Counted]]:
    """Count what the model does inside, where it is in eval mode; gives a function that says how much so far."""
    macs, called = 0, set[nn.Module]()

    def count(module: nn.Module, inputs: object, output: Tensor) -> None:
        nonlocal macs
        called.add(module)
        if isinstance(module, nn.Linear | nn.Conv2d):
            macs += output.numel() * module.weight[0].numel()  # a unit or channel sees one row of the weight

    with_weights = [m for m in model.modules() if any(True for _ in m.parameters(recurse=False))]
    handles = [module.register_forward_hook(count) for module in with_weights]
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield lambda: Counted(macs=macs, parameters=sum(p.numel() for m in called for p in m.parameters(recurse=False)))
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes:
            module.training = training
