"""What is done to a network or to its gradients."""

from typing import Annotated, Literal

from pydantic import Field

from gradscope.config.settings import Settings, classes


class BatchNorm(Settings):
    """Batch normalisation (Ioffe & Szegedy 2015) in front of every activation that has none."""

    name: Literal["batch_norm"] = "batch_norm"


class Initialisation(Settings):
    """How the weights begin. Without it each model keeps PyTorch's default."""

    name: Literal["initialisation"] = "initialisation"
    scheme: Literal["lecun", "xavier", "he", "orthogonal"] = "lecun"
    """Normal of variance 1/fan_in (LeCun 1998), 2/(fan_in+fan_out) (Glorot 2010), 2/fan_in (He 2015); orthogonal."""
    gain: float = Field(1.0, gt=0, le=100)
    """Multiplies every weight."""
    bias_std: float = Field(0.0, ge=0, le=100)
    """Standard deviation of the biases."""


class PseudoNorm(Settings):
    """Pseudo-normalised gradients (Bu et al. 2026, eq. 14): every k-th activation's derivative divided by its RMS."""

    name: Literal["pseudo_norm"] = "pseudo_norm"
    every: int = Field(2, ge=1, le=100)
    """Every k-th activation, counted from the output; 2 in the paper, 1 normalises all."""
    per: Literal["sample", "batch"] = "sample"
    """One RMS for each sample, or one for the batch."""


class ClipValue(Settings):
    """Every gradient element clipped to [-limit, limit] before the step."""

    name: Literal["clip_value"] = "clip_value"
    limit: float = Field(0.5, gt=0)


class ClipNorm(Settings):
    """The whole gradient scaled down to an L2 norm of at most max_norm before the step (Pascanu et al. 2013)."""

    name: Literal["clip_norm"] = "clip_norm"
    max_norm: float = Field(1.0, gt=0)


# methods are applied in this order
AnyMethod = Annotated[BatchNorm | Initialisation | PseudoNorm | ClipValue | ClipNorm, Field(discriminator="name")]


def method_classes() -> dict[str, type[Settings]]:
    """Settings class of every method by name, in the order in which methods are applied."""
    return classes(AnyMethod)
