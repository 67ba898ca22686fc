"""The networks."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gradscope.config.settings import Activation, Settings, classes

Stem = Literal["small", "imagenet"]
Architecture = Literal[
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "densenet121",
    "densenet169",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
    "vgg16_bn",
    "inception_v3",
    "squeezenet1_0",
]
INCEPTION_SIDE = 75
"""Pixels; below, one of Inception-V3's unpadded convolutions has nothing left to look at."""


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
    width: float = Field(1.0, gt=0, le=16)
    """Multiplies every number of channels and units but that of the classes; 1 is our proposal of the lost tables."""
    activation: Activation = "tanh"


class Resnet(Settings):
    """Residual network for small pictures (He et al. 2016, section 4.2), shortcut by padding (option A)."""

    name: Literal["resnet"] = "resnet"
    depth: Literal[8, 14, 20, 26, 32, 44, 56, 110] = 20
    """Weight layers on the main path: 6n + 2."""
    width: int = Field(16, ge=1, le=256)
    """Channels of the first stage; doubled twice."""
    activation: Activation = "relu"


class MobileNet(Settings):
    """MobileNet-V1 (Howard et al. 2017): a convolution and thirteen depthwise-separable blocks."""

    name: Literal["mobilenet"] = "mobilenet"
    width: float = Field(1.0, gt=0, le=4)
    """Multiplies the channels of every layer."""
    stem: Stem = "small"
    """imagenet: the first convolution halves the picture, as published; small: it does not, for pictures of 32x32."""
    size: int | None = Field(None, ge=8, le=512)
    """Resize the pictures to size x size in front of the network."""
    activation: Activation = "relu"


class InceptionBn(Settings):
    """BN-Inception (Ioffe & Szegedy 2015): ten modules of parallel convolutions, each with its batch norm."""

    name: Literal["inception_bn"] = "inception_bn"
    width: float = Field(1.0, gt=0, le=4)
    """Multiplies the channels of every layer."""
    stem: Stem = "small"
    """imagenet: as published, the first layers shrink the picture eightfold; small: they do not, for pictures of 32x32.
    """
    size: int | None = Field(None, ge=8, le=512)
    """Resize the pictures to size x size in front of the network; 224 as published."""
    activation: Activation = "relu"


class Torchvision(Settings):
    """A network of torchvision, for pictures of 32x32 or as published. Its ReLUs are shared but not in place."""

    name: Literal["torchvision"] = "torchvision"
    architecture: Architecture = "resnet18"
    stem: Stem = "small"
    """imagenet: as published; small: the first layers do not shrink the picture, and VGG has one dense layer."""
    size: int | None = Field(None, ge=8, le=512)
    """Resize the pictures to size x size in front of the network; usual with stem=imagenet are 224, Inception 299."""
    pretrained: bool = False
    """Begin from torchvision's ImageNet weights, all but the output layer's. Downloaded once."""

    @property
    def activation(self) -> Activation:
        """What most of these networks have throughout."""
        return "relu"

    @model_validator(mode="after")
    def _stem_fits(self) -> Self:
        if self.architecture == "inception_v3" and (self.stem != "imagenet" or (self.size or 0) < INCEPTION_SIDE):
            raise ValueError(
                f"inception_v3 has only the stem as published and needs pictures of {INCEPTION_SIDE}x{INCEPTION_SIDE}; "
                "set model.stem to imagenet and model.size to 299"
            )
        if self.pretrained and self.stem != "imagenet":
            raise ValueError("pretrained weights fit the network as published; set model.stem to imagenet")
        return self


AnyModel = Annotated[Mlp | PaperCnn | Resnet | MobileNet | InceptionBn | Torchvision, Field(discriminator="name")]


def model_classes() -> dict[str, type[Settings]]:
    """Settings class of every model by name."""
    return classes(AnyModel)
