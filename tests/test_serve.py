"""Where the dashboard's process comes from."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from ports import any_port

from gradscope.serve import answers, serve


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


def test_a_dashboard_that_nobody_listens_to_any_more_ends_when_it_is_told_to(tmp_path) -> None:
    command = [sys.executable, "-m", "gradscope", "ui", "--store", str(tmp_path / "runs.db")]
    with subprocess.Popen(
        [*command, "--port", str(any_port())], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout
        while not (found := re.search(r"http://[\d.]+:\d+", process.stdout.readline())):
            assert process.poll() is None
        while not answers(found.group()):
            assert process.poll() is None
            time.sleep(0.1)  # no event tells when it listens
        process.stdout.close()  # as `gradscope ui | head` does
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=120)
