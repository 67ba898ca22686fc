"""The loop: a question a line from standard input, an answer a line to standard output, until the input ends.

The end of the input is the end of whoever asks, however it ended. A thread looks that nobody is served who is gone
already while an answer is computed, and that a process nobody asks for ten minutes gives its memory back.
"""

import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

from gradscope.process import cause_of
from gradscope.workbench.questions import QUESTIONS

IDLE_SECONDS = 600.0
"""Without a question for so long, the process ends; the next question starts another."""

_WATCH_SECONDS = 1.0

_log = logging.getLogger("gradscope")

Answer = Callable[[Mapping[str, Any]], Mapping[str, Any]]  # Any: JSON, each question's own


@dataclass(kw_only=True)
class _Pulse:
    """Whether somebody is still there to be answered."""

    parent: int = field(default_factory=os.getppid)
    since: float = field(default_factory=time.monotonic)
    busy: bool = False

    def must_end(self) -> bool:
        idle = not self.busy and time.monotonic() - self.since > IDLE_SECONDS
        return idle or os.getppid() != self.parent


def main() -> None:
    """Serve until nobody asks any more."""
    answers = _claim_output()
    pulse = _Pulse()
    threading.Thread(target=_watch, args=(pulse,), name="gradscope-pulse", daemon=True).start()
    serve(sys.stdin, answers, QUESTIONS, pulse)


def _claim_output() -> TextIO:
    """Standard output for answers alone: whatever a library prints goes to the log."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def _watch(pulse: _Pulse) -> None:
    while not pulse.must_end():
        time.sleep(_WATCH_SECONDS)
    os._exit(0)  # in the midst of an answer that nobody waits for


def serve(questions: TextIO, answers: TextIO, known: Mapping[str, Answer], pulse: _Pulse | None = None) -> None:
    """Answer line by line.

    Args:
        questions: each line {"id": any, "question": a name, ...}.
        answers: each line {"id": the same, "answer": {...}} or {"id": the same, "error": a sentence}.
        known: what answers each question.
        pulse: told when there is work.
    """
    beat = pulse or _Pulse()
    for line in questions:
        beat.busy = True
        json.dump(_answered(json.loads(line), known), answers)
        answers.write("\n")
        answers.flush()
        beat.busy, beat.since = False, time.monotonic()


def _answered(asked: Mapping[str, Any], known: Mapping[str, Answer]) -> dict[str, Any]:  # Any: as above
    number = asked.get("id")
    try:
        return {"id": number, "answer": known[asked["question"]](asked)}
    except Exception as error:  # whatever it was, the one who asked has to hear of it, and the next one to be served
        _log.exception("question %s failed", asked.get("question"))
        return {"id": number, "error": cause_of(error)}
