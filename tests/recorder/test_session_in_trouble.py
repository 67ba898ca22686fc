"""Trouble with the store, and the ways in which a process ends."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest
from sessions import stored, train, wait_until

import gradscope
from gradscope.errors import StoreError
from gradscope.recorder import writer
from gradscope.records import Kind, Status
from gradscope.store import open_store, read


def patient(path):
    """Another writer, whose transactions lock the store, and which waits for its turn as long as it takes."""
    return open_store(path, create=True).writer


def test_while_the_store_is_locked_training_goes_on_and_nothing_is_lost(path, monkeypatch, caplog):
    other = patient(path)
    monkeypatch.setattr("gradscope.store.engine.WRITER_PATIENCE_MS", 100)
    run = gradscope.init(store=path)
    run.log({"x": 0.0}, step=0)
    wait_until(lambda: gradscope.open(path).run(run.id).metrics().size > 0)
    with other.begin():
        train(run, 20)
        wait_until(lambda: "cannot be written" in caplog.text)
    run.finish()
    assert caplog.text.count("cannot be written") == 1
    assert run.lost_rows == stored(path, run).lost_rows == 0
    assert len(gradscope.open(path).run(run.id).layer_stats([Kind.GRADIENT])) == 40


def test_what_does_not_fit_into_the_queue_is_lost_and_counted(path, monkeypatch):
    other = patient(path)
    monkeypatch.setattr("gradscope.store.engine.WRITER_PATIENCE_MS", 50)
    monkeypatch.setattr(writer, "ROWS_KEPT", 10)
    run = gradscope.init(store=path)
    with other.begin():
        for step in range(25):
            run.log({"x": 1.0}, step=step)
        assert run.lost_rows == 15
    run.finish()
    assert stored(path, run).lost_rows == 15
    assert len(gradscope.open(path).run(run.id).metrics()) == 10


def test_a_run_that_is_deleted_while_it_trains_goes_on_unrecorded(path, caplog):
    run = gradscope.init(store=path)
    store = open_store(path)
    with store.writer.begin() as connection:
        connection.exec_driver_sql("DELETE FROM runs")
    wait_until(lambda: run.stop_requested)
    train(run, 3)
    run.finish()
    assert run.lost_rows > 0
    assert caplog.text.count("was deleted from") == 1


def test_a_store_whose_file_disappears_does_not_stop_the_training(path, monkeypatch, caplog):
    monkeypatch.setattr(writer, "PATIENCE_SECONDS", 3.0)
    run = gradscope.init(store=path)
    for file in path.parent.glob("runs.db*"):
        file.unlink()
    train(run, 3)
    run.finish()
    assert run.lost_rows > 0
    assert "cannot be written" in caplog.text


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_store_that_cannot_be_made_is_refused_at_once(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError):
        gradscope.init(store=tmp_path / "runs.db")


SCRIPT = """
import os, signal, sys, time
import gradscope
run = gradscope.init(name="script", store=sys.argv[1])
run.log({"x": 1.0})
"""


def ended(path, code, *, signalled=None):
    source = SCRIPT + textwrap.dedent(code)
    process = subprocess.Popen(
        [sys.executable, "-c", source, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if signalled is not None:
        process.stdout.readline()
        process.send_signal(signalled)
    process.communicate(timeout=60)
    info = read.run(open_store(path), 1)
    assert len(gradscope.open(path).run(1).metrics()) == 1
    return process.returncode, info.status, info.error


def test_a_script_that_forgets_to_finish_is_completed_at_its_end(path):
    assert ended(path, "") == (0, Status.COMPLETED, None)


def test_a_script_that_dies_of_an_exception_has_failed_with_its_cause(path):
    assert ended(path, "raise ValueError('oh')") == (1, Status.FAILED, "ValueError: oh")


@pytest.mark.parametrize(("number", "codes"), [(signal.SIGTERM, {143}), (signal.SIGINT, {1, -signal.SIGINT})])
def test_a_script_that_is_told_to_end_writes_what_it_has(path, number, codes):
    waiting = "print('ready', flush=True)\ntime.sleep(60)"
    code, *rest = ended(path, waiting, signalled=number)
    assert code in codes
    assert rest == [Status.STOPPED, None]


def test_a_forked_child_that_leaves_does_not_end_the_run(path):
    code = """
    if os.fork() == 0:
        sys.exit(0)
    os.wait()
    print(gradscope.open(sys.argv[1]).run(1).info.status, file=open(sys.argv[1] + ".txt", "w"), flush=True)
    """
    assert ended(path, code) == (0, Status.COMPLETED, None)
    assert (path.parent / "runs.db.txt").read_text().strip() == "running"


def test_importing_gradscope_imports_neither_torch_nor_the_database():
    code = "import sys, gradscope; gradscope.__version__; print({'torch', 'sqlalchemy', 'numpy'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "set()"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'recrod'"):
        _ = gradscope.recrod
    assert {"init", "watch", "log", "finish", "open"} <= set(dir(gradscope))


def test_a_run_without_trouble_says_nothing(path, caplog, capsys):
    with gradscope.init(store=path) as run:
        train(run, 2)
    assert [r for r in caplog.records if r.name == "gradscope"] == []
    assert tuple(capsys.readouterr()) == ("", "")
