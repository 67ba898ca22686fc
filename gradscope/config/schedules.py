"""How the learning rate goes."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from gradscope.config.settings import Settings, classes


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


def schedule_classes() -> dict[str, type[Settings]]:
    """Settings class of every schedule by name."""
    return classes(AnySchedule)
