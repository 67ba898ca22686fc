"""The file that holds the path of a run's latest cure: what was tried on top of what, and which to take."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from gradscope.errors import StoreDamaged


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A run of a cure."""

    run_id: int
    remedy: str | None
    """In words, what was added to its parent's settings; None at the root."""
    parent: int | None
    """Place of its parent among the runs of the cure; None at the root."""


@dataclass(frozen=True, kw_only=True)
class Cured:
    """A search for a cure, as far as it has come."""

    tried: tuple[Tried, ...]
    """In the order in which they ended; the first is the run that is cured."""
    winner: int | None
    """Place of the one to take; None as long as none is healthy."""

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.part")
        beside.write_text(json.dumps(asdict(self), indent=1))
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Cured | None":
        """What `save` wrote; None where there is nothing. StoreDamaged where it cannot be read."""
        if not path.exists():
            return None
        try:
            found = json.loads(path.read_text())
            return cls(tried=tuple(Tried(**one) for one in found["tried"]), winner=found["winner"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreDamaged(
                f"the cure in {path} cannot be read ({error}); remove that file, then start the cure again"
            ) from error


def in_depth(tried: Sequence[Tried]) -> list[tuple[int, int]]:
    """Place and depth of each, a parent before its children and those in their order: the lines of a tree."""

    def below(parent: int | None, depth: int) -> list[tuple[int, int]]:
        mine = [place for place, one in enumerate(tried) if one.parent == parent]
        return [line for place in mine for line in [(place, depth), *below(place, depth + 1)]]

    return below(None, 0)


def remedies_of(tried: Sequence[Tried], place: int) -> str:
    """All remedies that are in one of the runs, in the order in which they were added."""
    one = tried[place]
    above = remedies_of(tried, one.parent) if one.parent is not None else ""
    return " + ".join(part for part in (above, one.remedy) if part)
