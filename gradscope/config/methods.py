"""What is done to a network or to its gradients."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from gradscope.config.distillation import KdAttention, KdFitNet, KdFsp, KdGan, KdHinton, KdKr, KdNst
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
    form: Literal["direct", "dual"] = "direct"
    """direct: in the chain of factors itself; dual: on the second feedback path of figure 1, a gain at the input of
    each group of `every` layers, which leaves the group's own weights without it."""
    every: int = Field(2, ge=1, le=100)
    """Every k-th activation, counted from the output; 2 in the paper, 1 normalises all layers."""
    scope: Literal["sample", "batch"] = "sample"
    """One RMS for each sample, or one for the batch."""


class GradientAmplification(Settings):
    """The error multiplied by a constant at some layers drawn at random (Basodi et al. 2020)."""

    name: Literal["gradient_amplification"] = "gradient_amplification"
    factor: float = Field(2.0, gt=1, le=1000)
    """By what; the paper's values are lost to us, 2 is our proposal."""
    ratio: float = Field(0.5, gt=0, le=1)
    """Share of the hidden layers, drawn by the run's seed; at least one."""
    begin: float = Field(0.0, ge=0, lt=1)
    """Share of the training, in whole epochs, after which the error is amplified."""
    end: float = Field(0.5, gt=0, le=1)
    """Share of the training after which it no longer is."""

    @model_validator(mode="after")
    def _begin_before_end(self) -> Self:
        if self.begin >= self.end:
            raise ValueError(f"begin is {self.begin:g} and end {self.end:g}; begin must be less than end")
        return self


class BackwardGradientNorm(Settings):
    """The error divided by its own norm at every k-th layer (Cabana & Lago-Fernandez 2021)."""

    name: Literal["backward_gradient_norm"] = "backward_gradient_norm"
    every: int = Field(1, ge=1, le=100)
    """At the input of every k-th layer, counted from the output layer."""
    scope: Literal["sample", "batch"] = "batch"
    """One norm for each sample, or one for the batch."""
    norm: Literal["l2", "rms"] = "l2"
    """l2: the root of the sum of squares becomes one; rms: the root of their mean. The paper's constant is lost."""


class Elastic(Settings):
    """An exit at every depth, all of them trained at once (Zhou et al. 2018)."""

    wants_one_label: ClassVar[str] = "method elastic counts each exit's one right answer"
    name: Literal["elastic"] = "elastic"
    exits: str = Field("paper", min_length=1, max_length=1000)
    """paper: where the elastic paper has them, in other networks behind every block; blocks; stages: the last of each
    size of map; five: four and the last, as we read the paper's ResNet-50-5; or module names with commas between."""
    every: int = Field(1, ge=1, le=100)
    """Of these places every n-th, counted from the input."""
    dropout: float = Field(0.2, ge=0, lt=1)
    """In front of each head's dense layer, and of the network's own."""
    weights: Literal["equal", "linear", "learned", "scheduled"] = "equal"
    """Of the exits' losses. equal: all 1, as in the paper; linear: exit / number of exits; learned: by their
    uncertainty (Kendall et al. 2018); scheduled: those of early exits rise from 0.01 to linear (Kaya et al. 2019)."""
    updates: Literal["together", "in_turn"] = "together"
    """together: one step for all exits; in_turn: on each batch a step for every exit, as in the authors' code."""
    frozen_epochs: int = Field(0, ge=0, le=10_000)
    """Epochs at the start in which only the heads are trained; in the paper some tens, on pretrained weights."""
    distillation: float = Field(0.0, ge=0, le=1)
    """Share of an early exit's loss that compares with the last exit's answer and not with the label."""
    temperature: float = Field(3.0, gt=0, le=100)
    """By which the logits are divided in that comparison."""


class ZNorm(Settings):
    """Each weight's gradient less its mean, divided by its standard deviation, before the step (Yun 2024)."""

    name: Literal["z_norm"] = "z_norm"
    eps: float = Field(1e-10, gt=0, le=1)
    """Added to the standard deviation."""


class ClipValue(Settings):
    """Every gradient element clipped to [-limit, limit] before the step."""

    name: Literal["clip_value"] = "clip_value"
    limit: float = Field(0.5, gt=0)


class ClipNorm(Settings):
    """The whole gradient scaled down to an L2 norm of at most max_norm before the step (Pascanu et al. 2013)."""

    name: Literal["clip_norm"] = "clip_norm"
    max_norm: float = Field(1.0, gt=0)


# methods are applied in this order
AnyMethod = Annotated[
    BatchNorm
    | Initialisation
    | PseudoNorm
    | GradientAmplification
    | BackwardGradientNorm
    | Elastic
    | ZNorm
    | KdHinton
    | KdFitNet
    | KdFsp
    | KdNst
    | KdAttention
    | KdGan
    | KdKr
    | ClipValue
    | ClipNorm,
    Field(discriminator="name"),
]


def method_classes() -> dict[str, type[Settings]]:
    """Settings class of every method by name, in the order in which methods are applied."""
    return classes(AnyMethod)
