"""How a run is cured."""

from typing import ClassVar, Literal

from pydantic import Field

from gradscope.config.tasks import TaskSettings


class Curing(TaskSettings):
    """The remedies that fit a run's findings, each tried as a real run, until one is healthy."""

    needs_network: ClassVar[bool] = False

    name: Literal["cure"] = "cure"
    epochs: int | None = Field(None, ge=1)
    """Of each try; as many as the run has where empty."""
    most: int = Field(12, ge=1, le=100)
    """Tries at most."""
