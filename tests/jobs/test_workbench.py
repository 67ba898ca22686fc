"""The process that pages ask: real processes, of a few lines each, that behave and misbehave."""

import io
import json
import sys
import time

import psutil
import pytest

from gradscope.errors import ConfigError, JobError
from gradscope.jobs.workbench import Workbench
from gradscope.workbench.serve import serve

ECHO = """
import json, os, sys, time
for line in sys.stdin:
    asked = json.loads(line)
    if asked["question"] == "die": os._exit(3)
    if asked["question"] == "sleep": time.sleep(60)
    print(json.dumps({"id": asked["id"], "answer": {"pid": os.getpid(), "asked": asked}}), flush=True)
"""


@pytest.fixture
def bench():
    made = Workbench([sys.executable, "-c", ECHO])
    yield made
    made.close()


def test_questions_are_answered_by_one_process_that_stays(bench, store) -> None:
    assert not bench.is_warm
    first, second = bench.ask(store, "a", size=1), bench.ask(store, "b")
    assert first["asked"] == {"id": 0, "question": "a", "store": store.name, "size": 1}
    assert first["pid"] == second["pid"]
    assert bench.is_warm


def test_no_answer_in_time_ends_the_process_and_the_next_question_starts_another(bench, store) -> None:
    pid = bench.ask(store, "a")["pid"]
    with pytest.raises(JobError, match="no answer in time"):
        bench.ask(store, "sleep", seconds=0.2)
    assert not psutil.pid_exists(pid)
    assert bench.ask(store, "a")["pid"] != pid


def test_a_process_that_has_ended_meanwhile_is_started_again(bench, store) -> None:
    pid = bench.ask(store, "a")["pid"]
    psutil.Process(pid).kill()
    assert bench.ask(store, "a")["pid"] != pid


def test_a_process_that_ends_instead_of_answering_is_said_so_with_its_log(bench, store) -> None:
    with pytest.raises(JobError, match=r"ended without an answer; its log is .*workbench\.log"):
        bench.ask(store, "die")


def test_what_goes_wrong_comes_back_as_a_sentence_and_the_next_one_is_served() -> None:
    def refuse(asked):
        raise ConfigError("model.depth is 0; give at least 2")

    known = {"refuse": refuse, "double": lambda asked: {"is": 2 * asked["x"]}}
    asked = [{"id": 1, "question": "refuse"}, {"id": 2, "question": "double", "x": 4}, {"id": 3, "question": "what"}]
    answers = io.StringIO()
    serve(io.StringIO("".join(json.dumps(a) + "\n" for a in asked)), answers, known)
    assert [json.loads(line) for line in answers.getvalue().splitlines()] == [
        {"id": 1, "error": "model.depth is 0; give at least 2"},
        {"id": 2, "answer": {"is": 8}},
        {"id": 3, "error": "KeyError: 'what'"},
    ]


STARTER = """
import sys, time
from gradscope.jobs.workbench import Workbench
from gradscope.store import open_store
bench = Workbench()
bench.ask(open_store(sys.argv[1]), "warm")
print(bench._process.pid, flush=True)
time.sleep(600)
"""


def test_the_process_ends_with_whoever_started_it_however_that_ended(store) -> None:
    starter = psutil.Popen([sys.executable, "-c", STARTER, store.name], stdout=-1)
    pid = int(starter.stdout.readline())
    assert psutil.pid_exists(pid)
    starter.kill()
    starter.wait()
    starter.stdout.close()
    end = time.monotonic() + 60
    while psutil.pid_exists(pid) and time.monotonic() < end:
        time.sleep(0.1)
    assert not psutil.pid_exists(pid)
