"""How a run's robustness is measured: under which noises, corruptions and attacks, and how strong they are."""

from typing import Literal, Self, get_args

from pydantic import Field, model_validator

from gradscope.config.tasks import TaskSettings

Noise = Literal["gaussian_noise", "uniform_noise"]
"""Added to the normalised pictures; the level is the standard deviation of either."""
Corruption = Literal[
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "gaussian_blur",
    "contrast",
    "brightness",
    "fog",
    "pixelate",
    "jpeg",
    "elastic",
    "translation",
    "rotation",
]
"""Done to the pictures before they are normalised; the level is the severity, 1..5."""
Attack = Literal["fgsm", "pgd"]
"""Changes to each picture made against the network; the level is the largest change of a pixel, in 255ths of its
range."""
Kind = Noise | Corruption | Attack

NOISES: tuple[Noise, ...] = get_args(Noise)
CORRUPTIONS: tuple[Corruption, ...] = get_args(Corruption)
ATTACKS: tuple[Attack, ...] = get_args(Attack)
FAMILIES: dict[str, tuple[Kind, ...]] = {"noise": NOISES, "corruptions": CORRUPTIONS, "attacks": ATTACKS}
"""The kinds by what they have in common: where they act, and what their level means."""
RANDOM: frozenset[Kind] = frozenset(
    {*NOISES, "shot_noise", "impulse_noise", "fog", "elastic", "translation", "rotation", "pgd"}
)
"""The kinds of which one draw differs from another; the others have a single draw."""


class Robustness(TaskSettings):
    """Accuracy on the test pictures, disturbed in several ways and strengths."""

    name: Literal["robustness"] = "robustness"
    kinds: tuple[Kind, ...] = NOISES
    """What is done to the pictures."""
    levels: tuple[float, ...] = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    """Standard deviations of the noises, in units of the normalised pictures. Those of the pseudo-normalising paper (Bu
    et al. 2026, table 3) are lost; these are our proposal."""
    severities: tuple[int, ...] = (1, 2, 3, 4, 5)
    """Of the corruptions."""
    changes: tuple[float, ...] = (1, 2, 4, 8, 16)
    """Largest change of a pixel by an attack, in 255ths of its range (eight of them are the usual 8/255)."""
    draws: int = Field(10, ge=1, le=255)
    """Draws of each noise at each level; ten in the paper."""
    corruption_draws: int = Field(3, ge=1, le=255)
    """Draws of each random corruption or attack at each level; what is not random has one."""
    images: int | None = Field(None, ge=10)
    """Use at most so many test pictures, each class in its share; all by default."""
    seed: int = Field(0, ge=0, lt=2**31)
    """Of the noise: every run that is measured with the same seed sees the same."""

    @model_validator(mode="after")
    def _levels_are_levels(self) -> Self:
        if not self.kinds:
            raise ValueError(f"kinds is empty; choose some of {', '.join((*NOISES, *CORRUPTIONS, *ATTACKS))}")
        if any(not level > 0 for level in (*self.levels, *self.changes)):
            raise ValueError("levels and changes must be above 0; the undisturbed pictures are measured anyway")
        if any(not 1 <= severity <= 5 for severity in self.severities):
            raise ValueError(f"severities {self.severities} must lie in 1..5")
        return self

    def levels_of(self, kind: Kind) -> tuple[float, ...]:
        """The levels at which a kind is measured, rising."""
        of_family = {"noise": self.levels, "corruptions": self.severities, "attacks": self.changes}
        return tuple(sorted({float(level) for level in of_family[family_of(kind)]}))

    def draws_of(self, kind: Kind) -> int:
        """How often a level of a kind is measured."""
        return self.draws if kind in NOISES else self.corruption_draws if kind in RANDOM else 1


def family_of(kind: str) -> str:
    """noise, corruptions or attacks."""
    return next(family for family, kinds in FAMILIES.items() if kind in kinds)
