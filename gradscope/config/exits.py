"""How an elastic network's exits are put to the test."""

from typing import Literal, Self

from pydantic import Field, model_validator

from gradscope.config.tasks import TaskSettings

Rule = Literal["confidence", "entropy"]
"""By what a picture leaves: its largest predicted probability, or the entropy of the predicted distribution in nats."""


class Exits(TaskSettings):
    """Accuracy, cost and time of each exit, and of leaving as soon as an exit is sure enough."""

    name: Literal["exits"] = "exits"
    confidences: tuple[float, ...] = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
    """A picture leaves at the first exit whose largest probability is at least this."""
    entropies: tuple[float, ...] = (2.0, 1.5, 1.0, 0.75, 0.5, 0.3, 0.2, 0.1, 0.05, 0.02)
    """A picture leaves at the first exit whose entropy is at most this, in nats."""
    images: int | None = Field(2000, ge=10)
    """Use at most so many test pictures, each class in its share; all where empty."""
    batch_size: int = Field(100, ge=1, le=10_000)
    """Pictures that are answered at once; what is saved depends on it."""

    @model_validator(mode="after")
    def _thresholds_are_possible(self) -> Self:
        if any(not 0 < value <= 1 for value in self.confidences):
            raise ValueError(f"confidences {self.confidences} must lie in 0..1, 0 left out")
        if any(value < 0 for value in self.entropies):
            raise ValueError(f"entropies {self.entropies} must not be below 0")
        return self

    def thresholds(self) -> list[tuple[Rule, float]]:
        """Every rule with each of its thresholds, from where most pictures leave early to where few do."""
        sure: list[tuple[Rule, float]] = [("confidence", value) for value in sorted(set(self.confidences))]
        return [*sure, *(("entropy", value) for value in sorted(set(self.entropies), reverse=True))]
