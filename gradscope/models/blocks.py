"""The building block of the networks: weight layer, norm, activation."""

from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Activation
from gradscope.models.activations import make_activation


class NormSlot(nn.Identity):
    """An empty place for a norm between a weight layer and its activation; it lets everything through unchanged."""

    def __init__(self, layer: nn.Linear | nn.Conv2d) -> None:
        super().__init__()
        self.spatial = isinstance(layer, nn.Conv2d)
        self.features = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features

    def batch_norm(self) -> nn.BatchNorm1d | nn.BatchNorm2d:
        """A new batch norm that fits here (Ioffe & Szegedy 2015): one mean and variance a unit or channel."""
        return nn.BatchNorm2d(self.features) if self.spatial else nn.BatchNorm1d(self.features)


class Block(nn.Module):
    """activation(norm(layer(x))), each a module of its own."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, activation: Activation) -> None:
        super().__init__()
        self.layer = layer
        self.norm: nn.Module = NormSlot(layer)
        self.activation = make_activation(activation)

    def forward(self, x: Tensor) -> Tensor:
        """[B, ...] through layer, norm and activation."""
        out: Tensor = self.activation(self.norm(self.layer(x)))
        return out


def resize(images: Tensor, size: int | None) -> Tensor:
    """Images [B, C, H, W] to [B, C, size, size], bilinear and without aliasing; as they are where size is None."""
    if size is None:
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", align_corners=False, antialias=True)


def fill_norms(model: nn.Module) -> int:
    """Put a batch norm into every empty norm slot of a model, in place; the number of slots filled."""
    filled = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, NormSlot):
                setattr(parent, name, child.batch_norm())
                filled += 1
    return filled
