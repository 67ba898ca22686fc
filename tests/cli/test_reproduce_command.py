"""`gradscope reproduce` in this process, at the tiny scale."""

from pathlib import Path

import pytest
from sqlalchemy import text

from gradscope.cli import main
from gradscope.records import Status
from gradscope.store import open_store, read, write


@pytest.fixture
def reproduce(tmp_path, capsys):
    """The command on a store of its own: exit code, output, complaint."""

    def run(*words):
        with pytest.raises(SystemExit) as end:
            main(["reproduce", *words, "--store", str(tmp_path / "runs.db")])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return run


def test_a_dry_run_lists_runs_and_time_and_leaves_no_store(reproduce, tmp_path):
    code, out, _ = reproduce("pn", "--scale", "tiny", "--seeds", "2", "--dry-run")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[:4] == ["tanh", "seed", "0", "missing"]
    assert lines[-1].startswith("26 runs: 0 done, 0 under way, 26 to train, about ")
    assert not (tmp_path / "runs.db").exists()


def test_given_again_it_trains_only_what_is_missing_or_broke_off(reproduce, tmp_path):
    tiny = ("pn", "--scale", "tiny", "--only", "tanh", "--only", "pn-dual")
    code, out, _ = reproduce(*tiny, "--seeds", "1")
    assert code == 0
    assert "2/2 pn-dual seed 0" in out
    assert "Model 1, dual form" in out
    store = open_store(tmp_path / "runs.db")
    write.requeue(store, 2)
    write.request_stop(store, 2)
    code, out, _ = reproduce(*tiny, "--seeds", "2")
    assert code == 0
    assert "4 runs: 1 done, 0 under way, 3 to train" in out
    assert [r.name for r in read.runs(store)] == ["pn-dual seed 1", "tanh seed 1", "pn-dual seed 0", "tanh seed 0"]
    assert {r.status for r in read.runs(store)} == {Status.COMPLETED}
    code, out, _ = reproduce(*tiny, "--seeds", "2", "--report", str(tmp_path / "pn.md"))
    assert code == 0
    assert "4 runs: 4 done, 0 under way, 0 to train\n" in out
    assert "| Model 1, plain tanh | — |" in Path(tmp_path / "pn.md").read_text()
    store.close()


def test_a_run_whose_process_was_killed_is_gone_on_with(reproduce, tmp_path):
    tiny = ("pn", "--scale", "tiny", "--only", "pn-direct", "--seeds", "1")
    assert reproduce(*tiny)[0] == 0
    store = open_store(tmp_path / "runs.db")
    with store.writer.begin() as connection:
        connection.execute(text("UPDATE runs SET status = 'running', heartbeat = '2026-01-01 00:00:00.000000'"))
    code, out, _ = reproduce(*tiny)
    assert code == 0
    assert "pn-direct seed 0  lost" in out
    assert [r.status for r in read.runs(store)] == [Status.COMPLETED]
    store.close()


def test_a_dry_run_needs_no_store_at_all(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GRADSCOPE_STORE", raising=False)
    with pytest.raises(SystemExit) as end:
        main(["reproduce", "pn", "--scale", "tiny", "--dry-run"])
    assert end.value.code == 0
    assert "39 to train" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["x"], "paper 'x' is unknown; use one of pn, elastic, kr, narrow-deep"),
        (["pn", "--scale", "huge"], "scale 'huge' is unknown; use one of tiny, glance, short, cpu, full"),
        (["pn", "--only", "x"], "experiment 'x' is unknown; use one of tanh,"),
        (
            ["pn", "--data-folder", "/nowhere"],
            "nothing of this can be trained without its data; name the folder with --data-folder PATH",
        ),
        (["pn", "--report", "x.md"], "there is no store to report on yet"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(reproduce, words, complaint):
    code, _, err = reproduce(*words)
    assert code == 2
    assert complaint in err
    assert err.count("\n") == 1
