"""A network with an exit at every depth: the elastic networks of Zhou et al. 2018 (arXiv 1810.00589), for any backbone.

    network = ElasticNetwork(backbone, exit_points(backbone, shape, "blocks"), in_shape=shape, n_classes=10)
    network(images)          # [B, K]: the answer of the last exit, as any network gives it
    network.exits(images)    # E tensors [B, K]: the answer of every exit, in one pass

Exits are counted from the input; the last is the backbone's own output. `gradscope.models.early_exit` stops at one of
them without computing the rest.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from gradscope.errors import ConfigError
from gradscope.models.exit_points import output_shapes
from gradscope.models.sizes import Shape


class ExitHead(nn.Sequential):
    """Mean over the map, dropout, one dense layer to the logits: no further convolution, norm or hidden layer."""

    def __init__(self, shape: Sequence[int], n_classes: int, dropout: float) -> None:
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()] if len(shape) == 3 else []
        super().__init__(*pool, nn.Dropout(dropout), nn.Linear(shape[0], n_classes))


class ElasticNetwork(nn.Module):
    """A backbone with heads behind some of its modules."""

    def __init__(
        self,
        backbone: nn.Module,
        points: Sequence[str],
        *,
        in_shape: Shape,
        n_classes: int,
        dropout: float = 0.2,
        heads: Mapping[str, nn.Module] | None = None,
    ) -> None:
        """Attach the heads; their weights begin as PyTorch's defaults.

        Args:
            backbone: images [B, C, H, W] to logits [B, K]; becomes part of this network as it is.
            points: names of its modules behind which exits sit, from the input; each is called once in a pass and puts
                out a map [B, C, H, W] or features [B, C].
            in_shape: of a picture.
            n_classes: K.
            dropout: of the heads, in 0..1.
            heads: other modules for the heads of some points, from the module's output to logits [B, K].

        Raises:
            ConfigError: no exit can sit behind one of the points.
        """
        super().__init__()
        shapes = output_shapes(backbone, in_shape)
        for name in points:
            if len(shapes.get(name, ())) not in {1, 3}:
                raise ConfigError(
                    f"no exit can sit behind {name!r} of {type(backbone).__name__}: it must be called once in a pass "
                    "and put out one map or vector a picture; name another module"
                )
        own = dict(heads or {})
        self.points = tuple(points)
        self.in_shape = in_shape
        self.backbone = backbone
        self.heads = nn.ModuleList(own.get(name) or ExitHead(shapes[name], n_classes, dropout) for name in points)

    @property
    def n_exits(self) -> int:
        """E, the backbone's own output included."""
        return len(self.points) + 1

    def forward(self, images: Tensor) -> Tensor:
        """Images [B, C, H, W] to the logits of the last exit [B, K]; the heads are not computed."""
        logits: Tensor = self.backbone(images)
        return logits

    def exits(self, images: Tensor) -> list[Tensor]:
        """Images [B, C, H, W] to the logits [B, K] of each of the E exits, the last one's last."""
        with self._features() as features:
            last: Tensor = self(images)
        return [*(head(features[name]) for name, head in zip(self.points, self.heads, strict=True)), last]

    @contextmanager
    def _features(self) -> Iterator[dict[str, Tensor]]:
        """What the modules put out behind which exits sit, in the passes inside."""
        found: dict[str, Tensor] = {}

        def keep(name: str) -> torch.utils.hooks.RemovableHandle:
            def hook(module: nn.Module, inputs: object, output: Tensor) -> None:
                found[name] = output

            return self.backbone.get_submodule(name).register_forward_hook(hook)

        handles = [keep(name) for name in self.points]
        try:
            yield found
        finally:
            for handle in handles:
                handle.remove()
