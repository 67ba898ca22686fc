"""How a student is compared with its teacher."""

from typing import Literal, Self

from pydantic import Field, model_validator

from gradscope.config.tasks import TaskSettings


class Agreement(TaskSettings):
    """Same answers, distance of the predicted distributions, size, and time of a pass, of a student and its teacher."""

    name: Literal["agreement"] = "agreement"
    temperatures: tuple[float, ...] = (1.0, 2.0, 4.0, 8.0, 16.0)
    """At which the distributions are compared."""
    batch_sizes: tuple[int, ...] = (1, 128)
    """Pictures of a pass whose time is taken."""
    passes: int = Field(9, ge=1, le=1000)
    """Of which the median time is taken."""
    images: int | None = Field(2000, ge=10)
    """Use at most so many test pictures, each class in its share; all where empty."""

    @model_validator(mode="after")
    def _numbers_are_possible(self) -> Self:
        if any(value <= 0 for value in self.temperatures) or any(value < 1 for value in self.batch_sizes):
            raise ValueError("temperatures must be above 0 and batch_sizes at least 1")
        return self
