"""Everything a run can be: read by the launch form, the command line, the store and the comparison table.

A setting is one field: its type and bounds are the validation, its description is the help text. Where one of several
things can be chosen (a data set, a model, an optimiser), each is a class with a `name`, and the choice is their union.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from gradscope.errors import ConfigError

Activation = Literal["tanh", "sigmoid", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "identity"]


class Settings(BaseModel):
    """Base: frozen, no unknown fields, field docstrings are the descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


class DataSettings(Settings):
    """What every source shares."""

    val_fraction: float = Field(0.1, gt=0, lt=0.9)
    """Share of the training images kept for validation, drawn by the run's seed."""
    limit: int | None = Field(None, ge=10)
    """Use at most so many training images (and as many test images); all by default."""
    normalise: Literal["channel", "symmetric", "image", "unit"] = "channel"
    """channel: (x - mean) / std with each channel's training statistics, our reading of the pseudo-normalising paper,
    whose own equation is lost; symmetric: x / 127.5 - 1; image: each image by its own mean and std; unit: x / 255."""
    augment: Literal["none", "flip", "crop", "flip_crop"] = "none"
    """flip: mirror left-right at random; crop: random crop of the picture padded by an eighth of its size."""


class Digits(DataSettings):
    """1,797 hand-written digits of 8x8 grey pixels that come with scikit-learn. No download."""

    name: Literal["digits"] = "digits"


class Shapes(DataSettings):
    """Generated 32x32 colour pictures of circles, squares, triangles, stars and crosses, with exact masks."""

    name: Literal["shapes"] = "shapes"
    train_size: int = Field(4000, ge=50)
    """Number of training images."""
    test_size: int = Field(1000, ge=50)
    """Number of test images."""
    data_seed: int = Field(0, ge=0)
    """Seed of the pictures (the run's seed only splits and shuffles them)."""


class Cifar10(DataSettings):
    """60,000 photographs of 32x32 colour pixels in 10 classes (Krizhevsky 2009). Downloaded once."""

    name: Literal["cifar10"] = "cifar10"


class Cifar100(DataSettings):
    """60,000 photographs of 32x32 colour pixels in 100 classes (Krizhevsky 2009). Downloaded once."""

    name: Literal["cifar100"] = "cifar100"


class Mnist(DataSettings):
    """70,000 hand-written digits of 28x28 grey pixels (LeCun et al. 1998). Downloaded once."""

    name: Literal["mnist"] = "mnist"


class FashionMnist(DataSettings):
    """70,000 pieces of clothing of 28x28 grey pixels (Xiao et al. 2017). Downloaded once."""

    name: Literal["fashion_mnist"] = "fashion_mnist"


class Svhn(DataSettings):
    """99,289 house numbers of 32x32 colour pixels (Netzer et al. 2011). Downloaded once."""

    name: Literal["svhn"] = "svhn"


class Folder(DataSettings):
    """A folder of pictures, one sub-folder a class; below `train/` and `test/` or split by us (15 % test)."""

    name: Literal["folder"] = "folder"
    path: str = ""
    """The folder."""
    size: int | None = Field(None, ge=8, le=512)
    """Resize every picture to size x size; by default all must already have one size."""


class Parquet(DataSettings):
    """A folder with train.parquet and test.parquet in the form of Hugging Face image data sets."""

    name: Literal["parquet"] = "parquet"
    path: str = ""
    """The folder."""
    label: str | None = None
    """Name of the label column; the first of label, fine_label, labels by default."""


AnyData = Annotated[
    Digits | Shapes | Cifar10 | Cifar100 | Mnist | FashionMnist | Svhn | Folder | Parquet, Field(discriminator="name")
]


class Mlp(Settings):
    """Fully connected network on the flattened picture."""

    name: Literal["mlp"] = "mlp"
    depth: int = Field(10, ge=2, le=200)
    """Number of weight layers, the output layer included."""
    width: int = Field(64, ge=1, le=8192)
    """Units of each hidden layer."""
    activation: Activation = "tanh"
    residual: bool = False
    """Add each hidden layer's input to its output (from the second hidden layer on)."""
    batch_norm: bool = False
    """Batch normalisation before each activation."""


class PaperCnn(Settings):
    """The ten-layer networks of the pseudo-normalising paper (Bu et al. 2026); the widths are our proposal."""

    name: Literal["paper_cnn"] = "paper_cnn"
    variant: Literal[1, 2, 3] = 1
    """1: eight conv and two dense layers; 2: four and six, more filters; 3: five and five, wider (for 100 classes)."""
    activation: Activation = "tanh"


class Resnet(Settings):
    """Residual network for small pictures (He et al. 2016, section 4.2), shortcut by padding (option A)."""

    name: Literal["resnet"] = "resnet"
    depth: Literal[8, 14, 20, 26, 32, 44, 56, 110] = 20
    """Weight layers on the main path: 6n + 2."""
    width: int = Field(16, ge=1, le=256)
    """Channels of the first stage; doubled twice."""
    activation: Activation = "relu"


AnyModel = Annotated[Mlp | PaperCnn | Resnet, Field(discriminator="name")]


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


class ScheduleSettings(Settings):
    """What every schedule shares."""

    tail_epochs: int = Field(0, ge=0)
    """The last so many epochs run at the constant tail_lr."""
    tail_lr: float = Field(1e-4, gt=0, le=100)
    """Learning rate of the tail."""


class Constant(ScheduleSettings):
    """The same learning rate throughout."""

    name: Literal["constant"] = "constant"


class StepDecay(ScheduleSettings):
    """Divided by 1/gamma at each milestone."""

    name: Literal["step"] = "step"
    milestones: tuple[float, ...] = (0.5, 0.75)
    """Shares of the training at which the rate drops, each in 0..1."""
    gamma: float = Field(0.1, gt=0, lt=1)

    @field_validator("milestones")
    @classmethod
    def _milestones_rise(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if list(value) != sorted(set(value)) or any(not 0 < m < 1 for m in value):
            raise ValueError(f"milestones {value} must rise and lie between 0 and 1, such as 0.5, 0.75")
        return value


class Cosine(ScheduleSettings):
    """Half a cosine from lr to min_lr over the training (Loshchilov & Hutter 2017)."""

    name: Literal["cosine"] = "cosine"
    min_lr: float = Field(0.0, ge=0, le=100)


class CosineRestarts(ScheduleSettings):
    """Half a cosine down over each period, then back to lr at once (SGDR, Loshchilov & Hutter 2017)."""

    name: Literal["cosine_restarts"] = "cosine_restarts"
    period_epochs: float = Field(10.0, gt=0)
    min_lr: float = Field(1e-4, ge=0, le=100)


class CosineWave(ScheduleSettings):
    """A whole cosine each period, down and up; with rising_first up and down (Bu et al. 2026)."""

    name: Literal["cosine_wave"] = "cosine_wave"
    period_epochs: float = Field(1.0, gt=0)
    min_lr: float = Field(1e-4, ge=0, le=100)
    rising_first: bool = False


AnySchedule = Annotated[Constant | StepDecay | Cosine | CosineRestarts | CosineWave, Field(discriminator="name")]


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
    on_nonfinite: Literal["stop", "continue"] = "stop"
    """What a loss that is NaN or infinite does to the run; it is recorded either way."""
    checkpoint_every: int = Field(1, ge=0)
    """Epochs between checkpoints; 0 writes one at the end only."""


class Record(Settings):
    """What is recorded, and when."""

    every: int = Field(10, ge=1)
    """Steps between records, after the dense start 0, 1, 2, 4, 8, ..."""
    log: Literal["gradients", "all"] = "all"
    """gradients only, or gradients, signals, activations, weights and updates."""
    layers: str | None = None
    """Regular expression that a layer's name must match; all layers by default."""

    @field_validator("layers")
    @classmethod
    def _layers_is_an_expression(cls, value: str | None) -> str | None:
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"{value!r} is no regular expression ({error}); write such as 'conv'") from None
        return value


class RunConfig(Settings):
    """A run, whole: enough to train it again."""

    preset: str | None = None
    """The preset it began from."""
    data: AnyData = Digits()
    model: AnyModel = Mlp()
    methods: tuple[AnyMethod, ...] = ()
    optimizer: AnyOptimizer = Sgd()
    schedule: AnySchedule = Constant()
    train: Train = Train()
    record: Record = Record()

    @field_validator("methods")
    @classmethod
    def _each_method_once(cls, methods: tuple[Settings, ...]) -> tuple[Settings, ...]:
        names = [_name_of(m) for m in methods]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            raise ValueError(f"method {', '.join(sorted(twice))} is listed twice; list each method once")
        order = list(method_classes())
        return tuple(sorted(methods, key=lambda m: order.index(_name_of(m))))

    @model_validator(mode="after")
    def _tail_fits(self) -> Self:
        if self.schedule.tail_epochs > self.train.epochs:
            raise ValueError(
                f"schedule.tail_epochs is {self.schedule.tail_epochs}, more than train.epochs "
                f"({self.train.epochs}); set schedule.tail_epochs to at most that"
            )
        return self

    @model_validator(mode="after")
    def _rates_fit(self) -> Self:
        low = getattr(self.schedule, "min_lr", 0.0)
        if low > self.optimizer.lr:
            raise ValueError(
                f"schedule.min_lr is {low:g}, more than optimizer.lr ({self.optimizer.lr:g}); lower schedule.min_lr"
            )
        if isinstance(self.optimizer, Rprop) and (self.schedule.name != "constant" or self.schedule.tail_epochs):
            raise ValueError(
                "rprop adapts its steps by itself and takes no schedule; choose schedule constant without a tail"
            )
        return self


def _name_of(settings: Settings) -> str:
    return str(getattr(settings, "name"))  # noqa: B009  (every member of a union has one; Settings itself does not)


def _classes(annotated_union: Any) -> dict[str, type[Settings]]:  # Any: typing has no type for an annotated union
    return {c.model_fields["name"].default: c for c in get_args(get_args(annotated_union)[0])}


def data_classes() -> dict[str, type[Settings]]:
    """Settings class of every data source by name."""
    return _classes(AnyData)


def model_classes() -> dict[str, type[Settings]]:
    """Settings class of every model by name."""
    return _classes(AnyModel)


def method_classes() -> dict[str, type[Settings]]:
    """Settings class of every method by name, in the order in which methods are applied."""
    return _classes(AnyMethod)


def optimizer_classes() -> dict[str, type[Settings]]:
    """Settings class of every optimiser by name."""
    return _classes(AnyOptimizer)


def schedule_classes() -> dict[str, type[Settings]]:
    """Settings class of every schedule by name."""
    return _classes(AnySchedule)


CHOICES = {"data": data_classes, "model": model_classes, "optimizer": optimizer_classes, "schedule": schedule_classes}
"""The fields of a RunConfig that choose one class out of several by its `name`."""


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """A RunConfig from plain values, or a ConfigError of one sentence that names each wrong setting."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(error))) from None


def explain(error: ValidationError) -> list[str]:
    """One line for each wrong setting: its dotted name, what is wrong, what was given."""
    return [_explain_one(e["loc"], e["msg"], e["input"], e["type"]) for e in error.errors()]


def _explain_one(location: tuple[int | str, ...], message: str, given: object, kind: str) -> str:
    # pydantic inserts the union member's name after the field's ("model.mlp.depth"): nobody wrote it, leave it out
    parts = [str(p) for i, p in enumerate(location) if not (i == 1 and location[0] in CHOICES)]
    where = ".".join(parts) or "config"
    text = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"{where} is no setting here; leave it out"
    shown = "" if kind == "value_error" or isinstance(given, Mapping) else f", not {given!r}"
    return f"{where}: {text[0].lower()}{text[1:]}{shown}"
