"""The two ways into a run that docs/pseudo-norm.md shows, run as they stand there."""

import re
import shlex
from pathlib import Path

import pytest

from gradscope.cli import main
from gradscope.config import PseudoNorm
from gradscope.records import Status
from gradscope.store import open_store, read

DOCUMENT = (Path(__file__).parents[2] / "docs" / "pseudo-norm.md").read_text()
WANTED = PseudoNorm(form="dual", every=2, scope="sample").model_dump(mode="json")


def shown(language: str, word: str) -> str:
    """The only block of code in that language with that word."""
    (block,) = (b for b in re.findall(rf"```{language}\n(.*?)```", DOCUMENT, flags=re.DOTALL) if word in b)
    return str(block)


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADSCOPE_STORE", raising=False)


def the_run():
    """The run's status and the settings of its pseudo-normalisation."""
    store = open_store("runs.db")
    (run,) = read.runs(store)
    store.close()
    (method,) = (m for m in run.config["methods"] if m["name"] == "pseudo_norm")
    return run.status, method


def test_the_command_trains_what_it_names(here):
    words = shlex.split(shown("sh", "gradscope train"))
    with pytest.raises(SystemExit) as end:
        main([*words[1:], "--epochs", "1", "--set", "data.limit=100"])
    assert end.value.code == 0
    assert the_run() == (Status.COMPLETED, WANTED)


def test_the_program_trains_what_it_names(here):
    names = {}
    exec(shown("python", "RunConfig"), names)
    names["store"].close()
    assert the_run() == (Status.COMPLETED, WANTED)
