"""How a network's answer is shared out over the pixels of a picture: the attribution methods."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field, TypeAdapter, ValidationError

from gradscope.config.settings import Settings, classes
from gradscope.errors import ConfigError

Baseline = Literal["mean", "black", "blur"]

MOST_ERROR = 0.01
"""A map whose sum misses what it promises by more than one per cent is not called SHAP."""


class AttributionSettings(Settings):
    """What every attribution method shares; each explains one logit."""

    title: ClassVar[str]
    """How people call it."""
    adds_up: ClassVar[bool] = False
    """Whether the sum over a map promises to be the difference between the picture's logit and the baseline's."""
    careful_title: ClassVar[str] = ""
    """What to call it where it promises Shapley values and misses them."""


class Baselined(AttributionSettings):
    """Compares the picture with one that shows nothing."""

    baseline: Baseline = "mean"
    """mean: the mean colour of the training pictures; black: a black picture; blur: the picture itself, blurred."""


class Background(AttributionSettings):
    """Compares the picture with some training pictures."""

    background: int = Field(20, ge=1, le=1000)
    """How many training pictures, drawn once by a fixed seed."""


class InputGradient(AttributionSettings):
    """The gradient of the logit with respect to the picture (Simonyan et al. 2014): sensitivity, not contribution."""

    title: ClassVar[str] = "Input gradient"
    name: Literal["input_gradient"] = "input_gradient"


class SmoothGrad(AttributionSettings):
    """The input gradient averaged over noisy copies of the picture (Smilkov et al. 2017)."""

    title: ClassVar[str] = "SmoothGrad"
    name: Literal["smooth_grad"] = "smooth_grad"
    samples: int = Field(25, ge=1, le=1000)
    """Noisy copies of each picture."""
    noise: float = Field(0.15, gt=0, le=1)
    """Standard deviation of the Gaussian noise as a share of the picture's range; 0.1 to 0.2 in the paper."""


class GradCam(AttributionSettings):
    """Which places of the last feature map speak for the class (Selvaraju et al. 2017). Coarse, without colours."""

    title: ClassVar[str] = "Grad-CAM"
    name: Literal["grad_cam"] = "grad_cam"
    layer: str | None = None
    """Dotted name of the module whose output is used; the last with a picture-like output by default."""


class IntegratedGradients(Baselined):
    """The gradient averaged on the way from the baseline to the picture (Sundararajan et al. 2017). For any network."""

    title: ClassVar[str] = "Integrated gradients"
    adds_up: ClassVar[bool] = True
    name: Literal["integrated_gradients"] = "integrated_gradients"
    steps: int = Field(50, ge=2, le=1000)
    """Points on the way; 20 miss the sum by one to three per cent, 50 by a tenth of that."""


class GradientShap(Background):
    """Integrated gradients with random training pictures as baselines (Erion et al. 2021), by captum."""

    title: ClassVar[str] = "Gradient SHAP"
    careful_title: ClassVar[str] = "Expected gradients"
    adds_up: ClassVar[bool] = True
    name: Literal["gradient_shap"] = "gradient_shap"
    samples: int = Field(200, ge=1, le=10_000)
    """Random points for each picture; 200 miss the sum by three to six per cent."""


class DeepLiftShap(Background):
    """DeepLIFT's rescale rule over training pictures (Lundberg & Lee 2017; Shrikumar et al. 2017), by captum."""

    title: ClassVar[str] = "DeepLIFT-SHAP"
    careful_title: ClassVar[str] = "DeepLIFT"
    adds_up: ClassVar[bool] = True
    name: Literal["deeplift_shap"] = "deeplift_shap"


class Occlusion(Baselined):
    """How far the logit falls when a patch is covered (Zeiler & Fergus 2014)."""

    title: ClassVar[str] = "Occlusion"
    name: Literal["occlusion"] = "occlusion"
    patch: int | None = Field(None, ge=1, le=512)
    """Side of the square in pixels; an eighth of the picture's by default."""


class ShapleySampling(Baselined):
    """Shapley values of square patches, each channel apart, from random orders (Castro et al. 2009), by captum."""

    title: ClassVar[str] = "Shapley values"
    careful_title: ClassVar[str] = "Sampled contributions"
    adds_up: ClassVar[bool] = True
    name: Literal["shapley_sampling"] = "shapley_sampling"
    patch: int | None = Field(None, ge=1, le=512)
    """Side of a patch in pixels; an eighth of the picture's by default."""
    permutations: int = Field(5, ge=1, le=1000)
    """Random orders in which the patches appear."""


class ShapGradient(Background):
    """Expected gradients (Erion et al. 2021) by the shap package: the same idea as gradient_shap, other code."""

    title: ClassVar[str] = "SHAP gradient"
    careful_title: ClassVar[str] = "Expected gradients (shap)"
    adds_up: ClassVar[bool] = True
    name: Literal["shap_gradient"] = "shap_gradient"
    samples: int = Field(200, ge=1, le=10_000)
    """Random points for each picture."""


class ShapPartition(Baselined):
    """Owen values of halves of the picture, and of their halves, as far as the evaluations reach, by the shap package.

    All channels of a pixel get the same value.
    """

    title: ClassVar[str] = "SHAP partition"
    careful_title: ClassVar[str] = "Partition values"
    adds_up: ClassVar[bool] = True
    name: Literal["shap_partition"] = "shap_partition"
    evaluations: int = Field(500, ge=10, le=100_000)
    """Forward passes for each picture; 500 tell some 50 regions apart."""


AnyAttribution = Annotated[
    IntegratedGradients
    | DeepLiftShap
    | ShapleySampling
    | GradientShap
    | GradCam
    | InputGradient
    | SmoothGrad
    | Occlusion
    | ShapGradient
    | ShapPartition,
    Field(discriminator="name"),
]

_READ: TypeAdapter[AnyAttribution] = TypeAdapter(AnyAttribution)


def attribution_classes() -> dict[str, type[AttributionSettings]]:
    """Settings class of every attribution method by name."""
    return {name: cls for name, cls in classes(AnyAttribution).items() if issubclass(cls, AttributionSettings)}


def parse_attribution(text: str) -> AnyAttribution:
    """An attribution method with its settings from its JSON, or from its bare name.

    Raises:
        ConfigError: there is no such method or setting; names those that there are.
    """
    known = attribution_classes()
    if text in known:
        return _READ.validate_python({"name": text})
    try:
        return _READ.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        if place and first["type"] != "union_tag_invalid":
            raise ConfigError(f"{place}: {first['msg'][0].lower()}{first['msg'][1:]}, not {first['input']!r}") from None
        raise ConfigError(f"{text!r} is no attribution method; choose one of {', '.join(known)}") from None


def title_of(settings: AttributionSettings, error: float | None) -> str:
    """What a map may be called, given by what share its sum misses its promise (None: not known, or promises nothing).

    >>> title_of(DeepLiftShap(), 0.0001), title_of(DeepLiftShap(), 0.94), title_of(GradCam(), None)
    ('DeepLIFT-SHAP', 'DeepLIFT', 'Grad-CAM')
    """
    missed = settings.adds_up and (error is None or not error <= MOST_ERROR)
    return settings.careful_title if missed and settings.careful_title else settings.title


def label_of(settings: AttributionSettings, error: float | None = None) -> str:
    """The title with every setting that is not the default.

    >>> label_of(IntegratedGradients(baseline="black", steps=20))
    'Integrated gradients (baseline black, steps 20)'
    """
    changed = [
        f"{name} {getattr(settings, name)}"
        for name, field in type(settings).model_fields.items()
        if getattr(settings, name) != field.default
    ]
    title = title_of(settings, error)
    return f"{title} ({', '.join(changed)})" if changed else title
