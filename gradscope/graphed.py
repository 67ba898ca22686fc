"""The passes of a training step as a CUDA graph: a step of a small network takes longer to launch than to compute."""

from collections.abc import Callable
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from gradscope.data import MiniBatch
from gradscope.methods import Judged, Objective

WARM_UP = 3
"""Steps on a stream of their own before the capture: cuDNN chooses its algorithms in them, torch.compile compiles."""


class GraphedPasses:
    """Forward and backward pass of batches of one size, captured once and replayed for each batch.

    What the passes do must not depend on anything but the batch and the weights. Gradients stand in `.grad` afterwards,
    as after `backward`; the optimiser steps outside, so that its learning rate may change from step to step.
    """

    def __init__(
        self, model: nn.Module, objective: Objective, autocast: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._model, self._objective, self._autocast = model, objective, autocast
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]  # untyped in torch
        self._steps = 0

    def __call__(self, batch: MiniBatch) -> Judged:
        """Logits and terms of the loss of the batch, without their graph; the parameters have their gradients.

        Args:
            batch: on the device; always of the same shape.
        """
        self._steps += 1
        if self._steps <= WARM_UP:
            return self._aside(batch)
        self._graph = self._graph or self._capture(batch)
        self._batch.images.copy_(batch.images)
        self._batch.labels.copy_(batch.labels)
        self._graph.replay()
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        return _detached(self._judged)

    def _aside(self, batch: MiniBatch) -> Judged:
        """A step as without a graph, on the stream that will be captured."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            judged = self._passes(batch)
        torch.cuda.current_stream().wait_stream(self._stream)
        return _detached(judged)

    def _capture(self, batch: MiniBatch) -> torch.cuda.CUDAGraph:
        self._batch = MiniBatch(images=batch.images.clone(), labels=batch.labels.clone(), places=batch.places.clone())
        self._model.zero_grad(set_to_none=True)  # the graph then writes gradients and adds nothing to old ones
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            self._judged = self._passes(self._batch)
        self._gradients = [(p, p.grad) for p in self._model.parameters() if p.grad is not None]
        return graph

    def _passes(self, batch: MiniBatch) -> Judged:
        self._model.zero_grad(set_to_none=True)
        with self._autocast():
            judged = self._objective(self._model, batch)
        judged.loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        return judged


def _detached(judged: Judged) -> Judged:
    """Values of this step: the next replay writes over what the graph returned."""
    terms: dict[str, Tensor] = {name: term.detach().clone() for name, term in judged.terms.items()}
    return Judged(logits=judged.logits.detach().clone(), terms=terms)
