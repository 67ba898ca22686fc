"""Which attributions of which pictures are to be computed on a run."""

from enum import StrEnum
from typing import Literal

from pydantic import Field, field_validator

from gradscope.config.attributions import AnyAttribution, IntegratedGradients
from gradscope.config.settings import Settings
from gradscope.config.tasks import TaskSettings


class Outcome(StrEnum):
    """What became of a picture."""

    ANY = "any"
    RIGHT = "right"
    """Every run is right."""
    WRONG = "wrong"
    """Every run is wrong."""
    DISAGREE = "runs disagree"
    """Two runs give it different classes."""
    CONFIDENT_ERROR = "most confident error"
    """Some run is wrong; those of which it is most certain come first."""


class ImageSet(Settings):
    """A fixed choice of test pictures, the same for every run."""

    n: int = Field(24, ge=1, le=10_000)
    """At most so many."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the order in which pictures are taken: a larger set of the same seed holds the smaller one."""
    outcome: Outcome = Outcome.ANY
    true: int | None = Field(None, ge=0)
    """Only pictures of this class."""
    taken_for: int | None = Field(None, ge=0)
    """Only pictures that some run gives this class: with `true` a confusion, "dog taken for horse"."""

    @property
    def asks_the_runs(self) -> bool:
        """Whether the choice depends on what the runs answer."""
        return self.outcome is not Outcome.ANY or self.taken_for is not None


Target = Literal["predicted", "true"] | int


class Explain(TaskSettings):
    """Attributions of test pictures; what is stored already is not computed again."""

    name: Literal["explain"] = "explain"
    methods: tuple[AnyAttribution, ...] = (IntegratedGradients(),)
    target: Target = "predicted"
    """Which class's logit is explained: the one the network gives the picture, its true one, or always this one."""
    images: ImageSet = ImageSet()
    beside: tuple[int, ...] = ()
    """Other runs whose answers the choice of pictures asks about."""
    checks: bool = False
    """Also whether the maps can be trusted: deletion, insertion, similarity to the map of random weights."""

    @field_validator("methods")
    @classmethod
    def _some_method_each_once(cls, methods: tuple[AnyAttribution, ...]) -> tuple[AnyAttribution, ...]:
        if not methods:
            raise ValueError("methods is empty; name at least one, such as integrated_gradients")
        return tuple(dict.fromkeys(methods))
