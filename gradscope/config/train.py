"""The loop, and what is recorded of it."""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from gradscope.config.settings import Settings

BUDGET = 0.02
"""Share of the training time that recording may take unless something else is said."""


class Train(Settings):
    """The loop."""

    epochs: int = Field(20, ge=1, le=10_000)
    batch_size: int = Field(50, ge=1, le=65_536)
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the weights, the split, the order of the images and the augmentation."""
    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto, cpu, mps, cuda or cuda:N; auto takes a GPU where there is one."""
    mixed_precision: bool = True
    """bfloat16 autocast and channels-last memory on CUDA; no effect elsewhere."""
    cuda_graph: bool = False
    """On CUDA, replay the passes of steps that are not recorded as one graph: small networks spend their time launching
    kernels. No effect elsewhere, nor with a method that has a loss of its own."""
    on_nonfinite: Literal["stop", "continue"] = "stop"
    """What a loss that is NaN or infinite does to the run; it is recorded either way."""
    checkpoint_every: int = Field(1, ge=0)
    """Epochs between checkpoints; 0 writes one at the end only."""
    robustness: bool = False
    """Once the training is complete, measure accuracy under Gaussian and uniform noise, ten draws at nine levels."""


class Record(Settings):
    """What is recorded, and when."""

    every: Annotated[int, Field(ge=1)] | Literal["auto"] = 10
    """Steps between records, after the dense start 0, 1, 2, 4, 8, ...; auto for as many as the budget allows."""
    budget: float = Field(BUDGET, gt=0, le=1)
    """With every=auto: the share in 0..1 of the training time that recording may take."""
    log: Literal["gradients", "all"] = "all"
    """gradients only, or gradients, signals, activations, weights and updates."""
    layers: str | None = None
    """Regular expression that a layer's name must match; all layers by default."""

    @field_validator("every", mode="before")
    @classmethod
    def _every_is_a_number_or_auto(cls, value: object) -> object:
        if value != "auto" and (isinstance(value, bool) or not str(value).isdecimal() or int(str(value)) < 1):
            raise ValueError(f"{value!r} is no number of steps; write a whole number from 1 on, or auto")
        return value

    @model_validator(mode="after")
    def _budget_needs_auto(self) -> Self:
        if self.every != "auto" and self.budget != BUDGET:
            raise ValueError(
                f"budget={self.budget:g} counts with every=auto only; set every to auto, or leave budget out"
            )
        return self

    @field_validator("layers")
    @classmethod
    def _layers_is_an_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression ({error}); write such as 'conv'") from None
        return value
