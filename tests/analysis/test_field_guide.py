"""The field guide names every finding and every threshold, with its number, and shows pictures that are there."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from gradscope.analysis import findings
from gradscope.analysis.findings import EXPLAINED_BY, Thresholds
from gradscope.analysis.findings.remedies import ADVICE, REMEDIES

GUIDE = Path(__file__).parents[2] / "docs" / "reading-gradients.md"
TEXT = GUIDE.read_text()


def names_told() -> set[str]:
    """As the rules hand them to `told`, by their source, and as remedies and causes go by them."""
    folder = Path(findings.__file__).parent
    rules = ("conflict", "course", "finite", "flow", "setup", "treatment", "updates")
    source = "".join((folder / f"{rule}.py").read_text() for rule in rules)
    told = re.findall(r'(?:told\(\s*\*?\(?|_untrained\(|name = )"([a-z_]+)"', source)
    return {*told, *REMEDIES, *ADVICE, *EXPLAINED_BY}


def test_every_finding_is_in_the_guide_and_nothing_else() -> None:
    headed = set(re.findall(r"\(`([a-z_]+)`\)", TEXT))
    assert headed == names_told()
    assert len(headed) == 22


@pytest.mark.parametrize("name", [f.name for f in fields(Thresholds)])
def test_every_threshold_is_in_the_guide_with_its_number(name: str) -> None:
    given = re.search(rf"`{name}` \(([^)]+)\)", TEXT)
    assert given, name
    assert float(given[1]) == getattr(Thresholds(), name)


def test_every_picture_is_there_and_small() -> None:
    shown = re.findall(r"\]\((pictures/[^)]+)\)", TEXT)
    assert len(shown) == 7
    for name in shown:
        assert 1_000 < (GUIDE.parent / name).stat().st_size < 100_000, name
