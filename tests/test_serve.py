"""Where the dashboard's process comes from."""

import os
import sys

import pytest

from gradscope.serve import serve


class Replaced(Exception):
    """Stands for the end of this process's own program."""


def test_a_process_that_has_trained_starts_anew_for_the_dashboard(monkeypatch) -> None:
    import torch  # noqa: F401  loaded, as it is after a training

    def replace(program: str, words: list[str]) -> None:
        raise Replaced(program, *words)

    monkeypatch.setattr(os, "execv", replace)
    with pytest.raises(Replaced) as begun:
        serve("/some/runs.db", 8612)
    words = ("-m", "gradscope", "ui", "--store", "/some/runs.db", "--port", "8612")
    assert begun.value.args == (sys.executable, sys.executable, *words)
