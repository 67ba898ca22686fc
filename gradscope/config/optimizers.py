"""The optimisers."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gradscope.config.settings import Settings, classes


class OptimizerSettings(Settings):
    """What every optimiser shares."""

    lr: float = Field(0.01, gt=0, le=100)
    """Learning rate; the peak of the schedule."""
    weight_decay: float = Field(0.0, ge=0, le=10)


class Sgd(OptimizerSettings):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    lr: float = Field(0.05, gt=0, le=100)
    momentum: float = Field(0.0, ge=0, lt=1)
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum above 0; set momentum (0.9 is usual) or nesterov=false")
        return self


class Adam(OptimizerSettings):
    """Adam (Kingma & Ba 2015)."""

    name: Literal["adam"] = "adam"
    lr: float = Field(0.001, gt=0, le=100)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)


class AdamW(OptimizerSettings):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    name: Literal["adamw"] = "adamw"
    lr: float = Field(0.001, gt=0, le=100)
    weight_decay: float = Field(0.01, ge=0, le=10)
    beta1: float = Field(0.9, ge=0, lt=1)
    beta2: float = Field(0.999, ge=0, lt=1)


class RmsProp(OptimizerSettings):
    """RMSprop (Tieleman & Hinton 2012)."""

    name: Literal["rmsprop"] = "rmsprop"
    lr: float = Field(0.001, gt=0, le=100)
    alpha: float = Field(0.99, ge=0, lt=1)
    momentum: float = Field(0.0, ge=0, lt=1)


class Rprop(Settings):
    """Resilient propagation (Riedmiller & Braun 1993): uses only the gradient's sign; meant for full batches."""

    name: Literal["rprop"] = "rprop"
    lr: float = Field(0.001, gt=0, le=100)


AnyOptimizer = Annotated[Sgd | Adam | AdamW | RmsProp | Rprop, Field(discriminator="name")]


def optimizer_classes() -> dict[str, type[Settings]]:
    """Settings class of every optimiser by name."""
    return classes(AnyOptimizer)
