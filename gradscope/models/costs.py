"""What a network costs: parameters and multiply-accumulates, without a weight or a picture in memory."""

from collections.abc import Sequence
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


def count_macs(model: nn.Module, images: Tensor) -> int:
    """Multiply-accumulates of every Linear and Conv2d in one forward pass of the images [B, C, H, W], in eval mode."""
    total = 0

    def count(module: nn.Module, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        weight = module.get_parameter("weight")
        total += output.numel() * weight[0].numel()  # a unit or channel sees one row of the weight

    layers = [m for m in model.modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    training = model.training
    try:
        with torch.no_grad():
            model.eval()(images)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return total
