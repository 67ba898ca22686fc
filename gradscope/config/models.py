"""The networks."""

from typing import Annotated, Literal

from pydantic import Field

from gradscope.config.settings import Activation, Settings, classes


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


def model_classes() -> dict[str, type[Settings]]:
    """Settings class of every model by name."""
    return classes(AnyModel)
