"""The `gradscope` command as a user meets it: another process, its output, its exit code."""

import io
import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ports import any_port

from gradscope.cli import EXIT_CODES, main
from gradscope.cli.train import config_of
from gradscope.config import RunConfig
from gradscope.errors import GradScopeError
from gradscope.records import Status
from gradscope.serve import answers, served
from gradscope.store import open_store, read, write

SMALL = ["--set", "data.limit=100", "--set", "model.depth=2", "--set", "model.width=8", "--set", "train.device=cpu"]


def in_a_process(*words):
    command = [sys.executable, "-m", "gradscope", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def gradscope(capsys, monkeypatch):
    """Runs the command in this process, which has loaded its libraries."""

    def run(*words, input=""):
        monkeypatch.setattr(sys, "stdin", io.StringIO(input))
        code = exit_code([*map(str, words)])
        return subprocess.CompletedProcess(words, code, *capsys.readouterr())

    return run


def exit_code(words):
    """Of the command in this process, which is quicker than another one."""
    with pytest.raises(SystemExit) as end:
        main(words)
    return end.value.code


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "runs.db", create=True)
    yield store
    store.close()


@pytest.fixture
def path(store):
    return ["--store", store.name]


def a_run(store, status=Status.COMPLETED, name="run"):
    return write.create_run(store, name=name, source="train", config=RunConfig().model_dump(mode="json"), status=status)


def test_a_training_prints_plain_lines_and_ends_with_0(tmp_path):
    path = tmp_path / "new.db"
    words = ["--data", "digits", "--epochs", 2, "--seed", 3, "--name", "first", "--tag", "a", "--tag", "b"]
    done = in_a_process("train", "--preset", "relu", *words, "--store", path, *SMALL)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "first  loading data"
    assert lines[-1].startswith("run 1 (first) completed: validation ")
    assert len(lines) <= 5
    assert "\r" not in done.stdout
    run = read.run(open_store(path), 1)
    assert (run.status, run.name, run.tags) == (Status.COMPLETED, "first", ("a", "b"))
    assert run.config["train"]["seed"] == 3
    assert run.config["preset"] == "relu"


def test_a_training_shows_a_bar_on_a_terminal(tmp_path):
    ours, theirs = pty.openpty()
    words = ["train", "--epochs", "1", "--store", str(tmp_path / "runs.db"), *SMALL]
    with subprocess.Popen([sys.executable, "-m", "gradscope", *words], stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
    os.close(ours)
    assert process.returncode == 0
    assert "\r" in shown.decode()
    assert "100%" in shown.decode()


def _read(terminal):
    try:
        return os.read(terminal, 65_536)
    except OSError:  # how Linux says that the other side is closed
        return b""


def test_a_reader_that_goes_away_costs_no_training(tmp_path):
    words = ["train", "--epochs", "2", "--store", str(tmp_path / "runs.db"), *SMALL]
    command = [sys.executable, "-m", "gradscope", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert b"loading data" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 0
    assert read.run(open_store(tmp_path / "runs.db"), 1).status is Status.COMPLETED


def test_a_training_that_diverges_ends_with_3_and_says_where(gradscope, tmp_path):
    wild = ["--set", "optimizer.lr=100", "--set", "model.activation=identity", "--epochs", "20"]
    done = gradscope("train", "--store", tmp_path / "runs.db", *SMALL, *wild)
    assert done.returncode == 3
    assert "diverged" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_stops_a_training_with_a_checkpoint_and_ends_with_4(tmp_path):
    path = tmp_path / "runs.db"
    words = ["train", "--epochs", "10000", "--store", str(path), *SMALL]
    process = subprocess.Popen([sys.executable, "-m", "gradscope", *words], stdout=subprocess.PIPE, text=True)
    assert any("  epoch " in line for line in process.stdout)  # fast epochs share a line
    process.send_signal(signal.SIGINT)
    rest = process.communicate()[0]
    assert process.returncode == 4
    assert rest.splitlines()[-1].startswith("run 1 (mlp) stopped")
    store = open_store(path)
    assert read.run(store, 1).status is Status.STOPPED
    assert store.paths(1).resume.exists()


def test_every_end_of_a_training_has_its_exit_code():
    assert EXIT_CODES == {"completed": 0, "failed": 1, "diverged": 3, "stopped": 4}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["train", "--preset", "nope"], "preset 'nope' is unknown; use one of sigmoid, tanh,"),
        (["train", "--data", "moon"], "data 'moon' is unknown; use one of digits,"),
        (["train", "--epochs", "many"], "Invalid value for '--epochs'"),
        (["train", "--epochs", "0"], "train.epochs: input should be greater than or equal to 1, not 0"),
        (["train", "--set", "model.depth"], "--set 'model.depth' is no assignment; write NAME=VALUE"),
        (["train", "--set", "model.colour=red"], "model.colour is no setting; model has name, depth,"),
        (["train", "--set", "model.depth=["], "model.depth: '[' cannot be read"),
        (["train", "--data", "parquet:/no/such"], "/no/such"),
        (["train", "--store", "/no/such/folder/runs.db"], "the folder of the store /no/such/folder/runs.db does not"),
        (["runs", "--store", "/no/such.db"], "there is no store at /no/such.db; start a run to make it"),
        (["runs", "--store", "/"], "/ is a folder, not a store"),
        (["runs", "--store", "mysql://x"], "mysql"),
        (["runs", "--stores", "x"], "No such option: --stores"),
        (["dance"], "No such command 'dance'"),
        (["stop"], "Missing argument 'RUN'"),
        (["stop", "first"], "Invalid value for 'RUN'"),
        (["ui", "--port", "0"], "Invalid value for '--port'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_sentence_on_stderr_and_2(words, sentence, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("GRADSCOPE_STORE", str(tmp_path / "runs.db"))
    assert exit_code(words) == 2
    shown = capfd.readouterr()
    assert sentence in shown.err
    assert shown.err.startswith("gradscope: ")
    assert shown.err.count("\n") == 1
    assert "Traceback" not in shown.out


@pytest.mark.parametrize("words", [["runs"], ["train", *SMALL], ["migrate"], ["ui"], ["stop", "1"], ["demo"]])
def test_a_file_that_is_no_store_is_left_alone(words, tmp_path, capfd):
    notes = tmp_path / "notes.txt"
    notes.write_text("milk")
    assert exit_code([*words, "--store", str(notes)]) == 2
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "is not a GradScope store" in shown.err
    assert notes.read_text() == "milk"
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_runs_are_listed_for_people_and_for_programs(gradscope, store, path):
    assert gradscope("runs", *path).stdout == "no runs yet; `gradscope train --preset tanh` makes one\n"
    a_run(store, name="tánh 30")
    a_run(store, Status.QUEUED)
    table = gradscope("runs", *path).stdout.splitlines()
    assert table[0].split() == ["ID", "NAME", "STATUS", "EPOCH", "STEP", "VALIDATION", "TEST"]
    assert table[1].split() == ["2", "run", "queued"]
    newest, oldest = json.loads(gradscope("runs", *path, "--json").stdout)
    assert newest["id"] == 2
    assert oldest == {
        "id": 1,
        "name": "tánh 30",
        "status": "completed",
        "config": RunConfig().model_dump(mode="json"),
        "last_step": -1,
        "val_accuracy": None,
        "test_accuracy": None,
        "val_map": None,
        "test_map": None,
    }


def test_the_store_is_named_by_the_environment_too(gradscope, store, monkeypatch):
    monkeypatch.setenv("GRADSCOPE_STORE", store.name)
    assert json.loads(gradscope("runs", "--json").stdout) == []


def test_a_queued_run_is_stopped_and_deleted(gradscope, store, path):
    a_run(store, Status.QUEUED)
    assert gradscope("stop", 1, *path).stdout == "run 1 is stopped\n"
    assert gradscope("delete", 1, *path, input="n\n").stdout.endswith("run 1 is kept\n")
    assert gradscope("delete", 1, *path, input="").returncode == 130
    assert len(read.runs(store)) == 1
    assert gradscope("delete", 1, "--yes", *path).stdout == "run 1 is deleted\n"
    done = gradscope("delete", 1, "--yes", *path)
    assert (done.returncode, done.stderr.startswith("gradscope: run 1 is not in the store")) == (2, True)


def test_a_completed_run_is_not_resumed(gradscope, store, path):
    a_run(store)
    done = gradscope("resume", 1, *path)
    assert done.returncode == 2
    assert done.stderr == "gradscope: run 1 is completed; start a new one with more epochs instead\n"


def test_the_command_alone_is_help_and_version_names_what_matters(gradscope):
    assert gradscope().stdout == gradscope("--help").stdout
    assert "supervise" not in gradscope().stdout
    version = in_a_process("--version").stdout
    assert version.startswith("gradscope 0.")
    assert "SQLite 3." in version
    assert "torch 2." in version


@pytest.mark.parametrize("command", ["demo", "ui", "train", "runs", "stop", "resume", "delete", "migrate"])
def test_every_command_and_option_says_what_it_does(command, capsys):
    assert exit_code([command, "--help"]) == 0
    options = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  --")]
    assert all(len(words) > 2 for words in options), options


def test_listing_runs_loads_neither_torch_nor_streamlit(store, path):
    code = (
        "import sys\nfrom gradscope.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n"
        "    print(sorted({'torch', 'streamlit'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, "runs", *path], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_store_of_an_older_gradscope_is_not_touched_by_migrate_when_it_is_up_to_date(
    gradscope, store, path, tmp_path
):
    done = gradscope("migrate", *path)
    assert done.stdout == f"{store.name} is up to date\n"
    assert not list(tmp_path.glob("*before*"))


@pytest.fixture
def app():
    app = Path(__file__).parents[2] / "app.py"
    if not app.exists():
        pytest.skip("there is no app.py beside the package")
    return app


@pytest.mark.usefixtures("app")
def test_the_dashboard_is_served_until_ctrl_c_and_takes_the_next_free_port(tmp_path):
    asked = any_port()
    servers = [_served(tmp_path, asked)]
    try:
        taken, first = _begins(servers[0])
        assert taken or first == f"http://127.0.0.1:{asked}"
        assert _healthy(first)
        port = first.rpartition(":")[2]
        servers.append(_served(tmp_path, port))
        taken, other = _begins(servers[1])
        assert taken.startswith(f"Port {port} is taken")
        assert other != first
        assert _healthy(other)
    finally:
        for server in servers:
            server.send_signal(signal.SIGINT)
            server.communicate()
    assert (tmp_path / "runs.db").exists()
    assert [server.returncode for server in servers] == [0, 0]


def _served(folder, port):
    words = ["ui", "--port", str(port), "--store", str(folder / "runs.db")]
    return subprocess.Popen(
        [sys.executable, "-m", "gradscope", *words], stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL
    )


def _begins(server):
    """What it says if its port is taken, by whomever, and its address."""
    line = server.stdout.readline()
    taken = line if line.startswith("Port ") else ""
    line = server.stdout.readline() if taken else line
    return taken, line.removeprefix("GradScope is at ").split()[0]


def _healthy(address):
    end = time.monotonic() + 180
    while not answers(address):
        if time.monotonic() > end:
            return False
        time.sleep(0.1)  # no event tells when it listens
    return True


def test_a_script_is_served_a_dashboard_until_its_block_ends(tmp_path):
    with served(str(tmp_path / "runs.db"), any_port()) as address:
        assert answers(address)
    assert not answers(address)


def test_a_dashboard_that_cannot_begin_says_so_to_the_script(tmp_path):
    (tmp_path / "runs.db").write_text("no database" * 20)
    with pytest.raises(GradScopeError, match="ended with exit code 2"), served(str(tmp_path / "runs.db"), 8900):
        pass


def test_a_preset_with_a_constant_tail_trains_as_few_epochs_as_asked(capsys):
    config = config_of("paper-tanh", {"train.epochs": 1}, [])
    assert (config.train.epochs, config.schedule.tail_epochs) == (1, 0)
    assert "schedule.tail_epochs is 0, in proportion to the 20 of 90 epochs before" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--preset", "relu", "--set", "methods.pseudo_norm=on"], "pseudo_norm needs a smooth activation"),
        (["--preset", "resnet", "--set", "methods.batch_norm=on"], "resnet has batch norm already"),
        (["--preset", "relu-batch-norm", "--set", "train.batch_size=1"], "set train.batch_size to at least 3"),
    ],
)
def test_settings_that_cannot_work_together_are_refused_before_anything_is_loaded(words, sentence, path, store, capsys):
    assert exit_code(["train", *words, *path]) == 2
    assert sentence in capsys.readouterr().err
    assert read.runs(store) == []
