"""What the README and the documents say is there, is there: pages, commands, presets, links."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gradscope.presets import PRESETS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def first_cells(heading):
    """The first column of the table below a heading, without its head."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"^\| [`*]+([^`*|]+)[`*]+ \|", section, flags=re.MULTILINE)


def test_every_page_is_in_the_readme_in_the_order_of_the_navigation():
    titles = dict.fromkeys(re.findall(r'title="([^"]+)"', (ROOT / "app.py").read_text()))
    assert first_cells("Pages") == [title for title in titles if title != "GradScope"]


def test_every_preset_is_in_the_readme():
    assert first_cells("Presets") == list(PRESETS)


def test_every_command_is_in_the_readme():
    shown = subprocess.run([sys.executable, "-m", "gradscope", "--help"], capture_output=True, text=True, check=True)
    commands = re.findall(r"^  (\w+)  ", shown.stdout.split("Commands:")[1], flags=re.MULTILINE)
    assert len(commands) > 10
    assert [name for name in commands if f"gradscope {name}" not in README] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document):
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", document.read_text())
    files = [target for target in targets if "://" not in target]
    assert [target for target in files if not (document.parent / target).exists()] == []
