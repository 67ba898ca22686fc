"""Training a student by a teacher."""

from typing import ClassVar, Literal, Self

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from gradscope.config.models import AnyModel, model_classes
from gradscope.config.settings import Settings


def network_of(text: str) -> AnyModel:
    """`resnet:depth=20,width=16` as the settings of a model; ValueError of one sentence where it is none."""
    name, _, rest = text.strip().partition(":")
    if name not in model_classes():
        raise ValueError(f"{text!r} names no model; write such as resnet:depth=20, one of {', '.join(model_classes())}")
    pairs = [part.partition("=") for part in rest.split(",") if part.strip()]
    try:
        # as on the command line: depth=20 is a number, residual=on a switch
        given = {key.strip(): yaml.safe_load(value) for key, _, value in pairs}
        made = model_classes()[name].model_validate({"name": name, **given})
    except (ValidationError, yaml.YAMLError) as error:
        told = error.errors() if isinstance(error, ValidationError) else []
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in told) or "it cannot be read"
        raise ValueError(f"{text!r} is no network ({wrong}); write such as resnet:depth=20,width=16") from None
    return made  # type: ignore[return-value]  # the classes are those of the union


class Distillation(Settings):
    """What every distillation shares: L = label_weight CE + kd_weight T^2 KL(teacher || student) + terms of its own.

    The teacher is a run (`teacher_run`), a file of weights (`teacher_file`) or, where neither is given, a network that
    is trained first, on the same data with the same settings and without methods (`teacher_model`).
    """

    name: str
    """By which it is chosen."""
    teacher_run: int | None = Field(None, ge=1)
    """Number of the run whose network teaches; the student waits until that run is complete."""
    teacher_file: str = ""
    """A checkpoint, safetensors; one that GradScope wrote says what network it is of, of another `teacher_model` does.
    """
    teacher_model: str = "resnet:depth=20"
    """The teacher's network where it is trained first, or where its file does not say: a model with its settings."""
    teacher_epochs: int | None = Field(None, ge=1, le=10_000)
    """Epochs of a teacher that is trained first; as many as the student's by default."""
    label_weight: float = Field(1.0, ge=0, le=1e6)
    """Of the cross entropy with the labels."""
    kd_weight: float = Field(0.0, ge=0, le=1e6)
    """Of T^2 KL(teacher || student), softened (Hinton et al. 2015); 0 leaves it out."""
    temperature: float = Field(4.0, gt=0, le=100)
    """T, by which both logits are divided before the softmax."""

    @field_validator("teacher_file", "layers", mode="before", check_fields=False)
    @classmethod
    def _nothing_is_no_text(cls, value: object) -> object:
        return "" if value is None else value  # an empty field of a form, and `--set ...=`

    @field_validator("teacher_model")
    @classmethod
    def _teacher_model_is_one(cls, value: str) -> str:
        network_of(value)
        return value.strip()

    @model_validator(mode="after")
    def _one_teacher(self) -> Self:
        if self.teacher_run is not None and self.teacher_file:
            raise ValueError(
                f"teacher_run is {self.teacher_run} and teacher_file {self.teacher_file!r}; name one teacher, not two"
            )
        return self

    @property
    def teacher_network(self) -> AnyModel:
        """`teacher_model` as settings."""
        return network_of(self.teacher_model)

    @property
    def is_trained_first(self) -> bool:
        """Whether there is no teacher yet."""
        return self.teacher_run is None and not self.teacher_file


class KdHinton(Distillation):
    """Softened outputs (Hinton, Vinyals & Dean 2015): T^2 KL(softmax(z_T / T) || softmax(z_S / T)).

    T = 4 and weights 0.1 and 0.9 are those of RepDistiller and mdistiller.
    """

    name: Literal["kd_hinton"] = "kd_hinton"
    label_weight: float = Field(0.1, ge=0, le=1e6)
    """Of the cross entropy with the labels."""
    kd_weight: float = Field(0.9, ge=0, le=1e6)
    """Of T^2 KL(teacher || student)."""


class _OfLayers(Distillation):
    """A distillation that compares layers."""

    name: str
    """By which it is chosen."""
    layers: str = ""
    """Pairs of layers to compare, student:teacher, such as `stages.0:stages.0, stages.2:stages.2`; as in the source of
    the method by default."""

    @field_validator("layers")
    @classmethod
    def _pairs(cls, value: str) -> str:
        for pair in filter(None, (part.strip() for part in value.split(","))):
            if not all(side.strip() for side in pair.partition(":")[::2]):
                raise ValueError(f"{pair!r} is no pair of layers; write student:teacher, such as stages.1:stages.1")
        return value

    @property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """(student's layer, teacher's layer) of each pair that is named."""
        parts = [part.partition(":") for part in self.layers.split(",") if part.strip()]
        return tuple((student.strip(), teacher.strip()) for student, _, teacher in parts)


class KdFitNet(_OfLayers):
    """Hints (Romero et al. 2015): a layer half-way up, through a regressor, imitates the teacher's.

    One stage with weight 100 is RepDistiller's and mdistiller's; two stages with kd_weight > 0 are the original's.
    """

    name: Literal["kd_fitnet"] = "kd_fitnet"
    hint_weight: float = Field(100.0, ge=0, le=1e6)
    """Of the mean squared difference between the regressed feature map and the teacher's."""
    first_stage: float = Field(0.0, ge=0, lt=1)
    """Share of the epochs, rounded down, that train the layers up to the hint on the hint alone; after them there is no
    hint. 0: one stage, all terms together."""
    kernel: Literal[1, 3] = 1
    """Side of the regressor's convolution."""


class KdFsp(_OfLayers):
    """Flow between layers (Yim et al. 2017): the Gram matrix between the first and last map of each section.

    Needs equal numbers of channels. Two stages, the first of 30 of 240 epochs, are RepDistiller's.
    """

    name: Literal["kd_fsp"] = "kd_fsp"
    fsp_weight: float = Field(1.0, ge=0, le=1e6)
    """Of the mean squared difference between the matrices; 50 is usual with one stage."""
    first_stage: float = Field(0.125, ge=0, lt=1)
    """Share of the epochs, at least one, that train the features on the matrices alone; after them they do not count.
    0: one stage, all terms together."""


class KdNst(_OfLayers):
    """Neuron selectivity transfer (Huang & Wang 2017): the channels' distributions over the map are brought together.

    Squared maximum mean discrepancy by a polynomial kernel of degree 2; weight 50 as in RepDistiller.
    """

    name: Literal["kd_nst"] = "kd_nst"
    nst_weight: float = Field(50.0, ge=0, le=1e6)
    """Of the discrepancies, summed over the layers."""


class KdAttention(_OfLayers):
    """Attention transfer (Zagoruyko & Komodakis 2017): where in the picture a layer is active; any number of channels.

    Weight 1000 on mean squared differences, as in RepDistiller.
    """

    name: Literal["kd_attention"] = "kd_attention"
    attention_weight: float = Field(1000.0, ge=0, le=1e6)
    """Of the mean squared differences of the normalised maps, summed over the layers."""
    power: float = Field(2.0, gt=0, le=8)
    """p: a layer's attention is the mean over its channels of |F|^p."""


class KdGan(Distillation):
    """A game of three (Wang et al. 2018): student and teacher choose labels, a discriminator tells them from true ones.

    Weights and rates are the defaults of the authors' code; expectations over labels are exact instead of sampled.
    """

    wants_one_label: ClassVar[str] = "method kd_gan has its players choose one label by a softmax"
    name: Literal["kd_gan"] = "kd_gan"
    teacher_share: float = Field(0.5, ge=0, le=1)
    """w: the discriminator's false labels are the teacher's with weight w and the student's with 1 - w."""
    mimic_weight: float = Field(1.0, ge=0, le=1e6)
    """Of half the squared distance between student's and teacher's logits."""
    teacher_learns: float = Field(0.0, ge=0, le=1)
    """Of the same for the teacher, which then is trained too, by the discriminator as well; 0 keeps it as it is."""
    discriminator_rate: float = Field(1e-3, gt=0, le=1)
    """Learning rate of the discriminator's Adam."""
    teacher_rate: float = Field(5e-4, gt=0, le=1)
    """Learning rate of the teacher's Adam, where it learns."""


class KdKr(Distillation):
    """Knowledge representing (Liu et al. 2019): the teacher's layers merged into as few as the student has (step A),
    and a penalty that lets the student's weights differ from those a little for nothing and more at a price (step B).

    The paper's equations are lost to us; these are our reconstruction, see docs/distillation.md.
    """

    name: Literal["kd_kr"] = "kd_kr"
    transport_weight: float = Field(1.0, ge=0, le=1e6)
    """alpha of step A: of the distance between the merged layers' feature maps and the teacher's."""
    recode_weight: float = Field(1.0, ge=0, le=1e6)
    """lambda of step B: of the mean sparse recoding penalty of a weight."""
    kappa: float = Field(2.0, gt=1, le=100)
    """Slope of the penalty outside the threshold, which settles where (kappa - 1) / kappa of the weights are inside."""
    recode_on: Literal["difference", "weights"] = "difference"
    """difference: the penalty is of student - merged weights; weights: of the student's own, beside a pull to the
    merged ones. The paper can be read both ways."""
    dense: bool = False
    """No sparse recoding, only a square pull to the merged weights ("Proposed-Dense")."""
    merge_rate: float = Field(10.0, gt=0, le=1000)
    """Learning rate of step A over that of the run; in the paper 0.1 against 0.01."""
    threshold_rate: float = Field(0.05, gt=0, le=1)
    """How fast a threshold learns, relative to its size."""
    gan: bool = False
    """With KDGAN's game on top, in its default settings ("+ KDGAN")."""

    @property
    def wants_one_label(self) -> str:
        """Why it cannot be applied to pictures with several labels; empty if it can."""
        return "methods.kd_kr.gan has its players choose one label by a softmax" if self.gan else ""


def distillation_in(methods: object) -> Distillation | None:
    """The distillation among methods; None where there is none."""
    given = methods if isinstance(methods, tuple | list) else ()
    return next((m for m in given if isinstance(m, Distillation)), None)
