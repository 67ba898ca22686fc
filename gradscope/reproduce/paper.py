"""What the reproduction of a paper is made of: experiments, published figures, and what we had to guess."""

from dataclasses import dataclass

from gradscope.config import RunConfig


@dataclass(frozen=True, kw_only=True)
class Published:
    """A figure of the paper."""

    accuracy: float
    """On the test set, in 0..1."""
    remark: str = ""
    """What the paper says around it, where that matters."""


@dataclass(frozen=True, kw_only=True)
class PublishedExit:
    """A figure of the paper about one exit of an elastic network."""

    accuracy: float
    """On the test set, in 0..1."""
    parameters: float
    """Of the network up to this exit."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A setting in which our experiment may or does differ from the paper's."""

    setting: str
    paper: str
    """What the paper says, or that it does not."""
    ours: str


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One training of the paper, to be repeated over seeds."""

    name: str
    """For the command line and as a tag of its runs."""
    title: str
    config: RunConfig
    """At full scale, with seed 0."""
    published: Published | None = None
    unpublished: str = ""
    """Why there is no published figure."""
    differences: tuple[Difference, ...] = ()
    """Beside those that all experiments of the paper share."""
    teacher: str = ""
    """The experiment whose run of the same seed teaches this one; it stands before it."""
    lighter: RunConfig | None = None
    """What stands for it at the smaller scales, before these make it shorter; itself where None."""
    longer: int = 1
    """Times as many epochs as the scale gives the others, below full scale: for a teacher, who is to know more."""
    heavy: bool = False
    """Whether it takes a GPU, and is part of the smaller scales only when it is asked for by its name."""
    exits: tuple[PublishedExit, ...] = ()
    """Of an elastic network, from the input, where the paper has them."""
    noise: bool = False
    """Whether the trained networks are tested on noisy pictures, too."""
    sweep: bool = False
    """Whether it varies a setting that the paper leaves open, and is run only when asked for."""


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """A question that two experiments answer together, seed by seed."""

    question: str
    first: str
    """Name of an experiment."""
    second: str


@dataclass(frozen=True, kw_only=True)
class Paper:
    """A paper whose experiments can be run again."""

    name: str
    """For the command line and as a part of the tag of its runs."""
    title: str
    citation: str
    experiments: tuple[Experiment, ...]
    differences: tuple[Difference, ...] = ()
    """Shared by all experiments."""
    contrasts: tuple[Contrast, ...] = ()
    noise_claim: str = ""
    """What it says of noisy pictures, in a sentence."""

    @property
    def tag(self) -> str:
        """What marks the runs of its reproduction in a store."""
        return f"reproduce-{self.name}"
