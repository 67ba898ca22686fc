"""Where the pictures come from, and what is done to them."""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from gradscope.config.robustness import CORRUPTIONS, Corruption, Noise
from gradscope.config.settings import Settings, classes

Points = Literal["eleven", "all"]
"""How average precision is taken from a curve; see `gradscope.evaluate.precision.average_precision`."""


class DataSettings(Settings):
    """What every source shares."""

    labels: ClassVar[Literal["one", "several"]] = "one"
    """How many classes a picture may be of."""

    val_fraction: float = Field(0.1, gt=0, lt=0.9)
    """Share of the training images kept for validation, drawn by the run's seed."""
    limit: int | None = Field(None, ge=10)
    """Use at most so many training images (and as many test images); all by default."""
    normalise: Literal["channel", "symmetric", "image", "unit"] = "channel"
    """channel: (x - mean) / std with each channel's training statistics, our reading of the pseudo-normalising paper,
    whose own equation is lost; symmetric: x / 127.5 - 1; image: each image by its own mean and std; unit: x / 255."""
    distort: Literal["none", Noise, Corruption] = "none"
    """Distort every picture of training, validation and test, once and for all runs alike, as TCIFAR-100 does (Liu et
    al. 2019): their "Gaussian artefacts, sigma = 1", read as a blur of one pixel, are gaussian_blur at level 5."""
    distort_level: float = Field(5.0, gt=0, le=100)
    """Severity 1..5 of a corruption; of a noise its standard deviation in units of the training pictures' own, by
    channel, before what leaves the range of a picture is cut off."""
    augment: Literal["none", "flip", "crop", "flip_crop"] = "none"
    """flip: mirror left-right at random; crop: random crop of the picture padded by an eighth of its size."""

    @model_validator(mode="after")
    def _severity_is_one(self) -> Self:
        if self.distort in CORRUPTIONS and self.distort_level not in {1, 2, 3, 4, 5}:
            raise ValueError(
                f"distort_level is {self.distort_level:g}; for distort={self.distort} it is the severity, 1 to 5"
            )
        return self


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


class Voc(DataSettings):
    """Photographs with the classes of the objects in them, several a picture (Pascal VOC, Everingham et al. 2010).

    Downloaded once.
    """

    name: Literal["voc"] = "voc"
    labels: ClassVar[Literal["one", "several"]] = "several"
    year: Literal["2007", "2012"] = "2007"
    """2007: trained on trainval, tested on test; 2012, whose test has no public labels: on train and on val. Average
    precision is that of the year's challenge: at eleven recalls in 2007, over all of them in 2012."""
    size: int = Field(128, ge=8, le=512)
    """Resize every picture to size x size."""

    @property
    def points(self) -> Points:
        """Of the year's challenge."""
        return "eleven" if self.year == "2007" else "all"


class Rdrd(DataSettings):
    """Range-Doppler matrices of a radar (Roldan et al. 2020): folders of CSV files, or train and test.parquet."""

    name: Literal["rdrd"] = "rdrd"
    path: str = ""
    """The folder: one sub-folder a class, in it one a recording with a CSV file a frame; or the two parquet files."""
    val_fraction: float = Field(0.1765, gt=0, lt=0.9)
    """Share of the training stacks kept for validation; with 15 % for the test the default makes 70/15/15."""
    split: Literal["recording", "random"] = "recording"
    """recording: all stacks of a recording on one side; random: each stack by itself, as Bu et al. 2026 have it, which
    flatters the accuracy, because overlapping stacks of one recording are near-duplicates."""
    frames: Literal[1, 3] = 3
    """Frames that follow each other in one recording, stacked as channels."""
    stride: int = Field(1, ge=1, le=100)
    """Frames from the start of a stack to the start of the next; from `frames` on no two stacks overlap."""


AnyData = Annotated[
    Digits | Shapes | Cifar10 | Cifar100 | Mnist | FashionMnist | Svhn | Voc | Folder | Parquet | Rdrd,
    Field(discriminator="name"),
]


def data_classes() -> dict[str, type[Settings]]:
    """Settings class of every data source by name."""
    return classes(AnyData)
