"""What a diagnosis is made of: findings, with the evidence and the remedies of each."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from gradscope.records import Kind


class Page(StrEnum):
    """A page of the dashboard, by its title."""

    DECAY = "Gradient decay"
    LAYERS = "Layers over time"
    CURVES = "Learning curves"


class Severity(StrEnum):
    """How much a finding matters."""

    NOTE = "note"
    """Worth knowing; the run is healthy all the same."""
    WARNING = "warning"
    """The run learns less or later than it could."""
    CRITICAL = "critical"
    """The run will not learn as it stands."""

    @property
    def rank(self) -> int:
        """0 for a note, 2 for what is critical."""
        return list(Severity).index(self)


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """Where to see it."""

    page: Page
    step: int | None = None
    layer: int | None = None
    kind: Kind | None = None


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """What may help."""

    title: str
    """What to do, in a few words."""
    settings: Mapping[str, str]
    """Settings to change as `--set` takes them; empty where only code or data can be changed."""
    why: str = ""
    """Why it helps, one sentence, where the title does not say it."""

    @property
    def arguments(self) -> str:
        """For the command line."""
        return " ".join(f"--set {name}={value}" for name, value in self.settings.items())


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a diagnosis says about a run."""

    name: str
    """Such as vanishing_gradient; a key of `gradscope.analysis.findings.RULES` or of what it tells."""
    severity: Severity
    text: str
    """One sentence that says what is seen, where and since when."""
    layers: tuple[int, ...] = ()
    """Indices of the layers concerned; empty where it is about the whole run."""
    since: int
    """The first recorded step of it."""
    until: int | None = None
    """The last, if it is over; None if it goes on."""
    confidence: float
    """0..1: how clearly it was seen, and how steadily since it began."""
    evidence: Evidence
    remedies: tuple[Remedy, ...] = ()

    def as_json(self) -> dict[str, Any]:  # Any: plain values of several types
        """For programs."""
        return asdict(self)
