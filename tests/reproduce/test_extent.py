"""A report says what it is of: its own command, what was not run, and the time that was measured."""

import shlex
from dataclasses import replace

import pytest
from reproductions import PN, Ended, Found

from gradscope.records import Batch, Metric, Status
from gradscope.reproduce.extent import command, left_out, run_of_all
from gradscope.reproduce.papers import PAPERS, chosen, options
from gradscope.store import Store, write

FEW = ("tanh", "pn-dual")


def given_again(words: list[str]) -> tuple[list[str], bool]:
    """The options as the command line hands them to `chosen`."""
    return [word for word in words if not word.startswith("--")], "--sweep" in words


@pytest.mark.parametrize("paper", PAPERS.values(), ids=lambda p: p.name)
def test_the_options_choose_what_was_chosen(paper) -> None:
    last = [e.name for e in paper.experiments if not e.sweep][-2:]
    for only in ([], last[:1], last, [e.name for e in paper.experiments][:1]):
        for sweep in (False, True):
            for heavy in (False, True):
                wanted = chosen(paper, only, sweep=sweep, heavy=heavy)
                names, swept = given_again(options(paper, wanted, heavy=heavy))
                assert chosen(paper, names, sweep=swept, heavy=heavy) == wanted


def test_the_options_are_as_few_as_may_be() -> None:
    kr = PAPERS["kr"]
    assert options(PN, chosen(PN)) == []
    assert options(PN, chosen(PN, sweep=True)) == ["--sweep"]
    assert options(PN, chosen(PN, FEW)) == ["--only", "tanh", "--only", "pn-dual"]
    assert options(PN, chosen(PN, FEW, sweep=True)) == ["--sweep", "--only", "tanh"]
    assert options(PN, chosen(PN, ["rate-0.1"])) == ["--only", "rate-0.1"]
    assert options(kr, chosen(kr, ["kr-c10"])) == ["--only", "kr-c10"]


def test_the_command_names_scale_seeds_experiments_and_that_there_is_a_folder(found: Found, tmp_path) -> None:
    assert command(found(*FEW)) == "gradscope reproduce pn --scale tiny --seeds 2 --only tanh --only pn-dual"
    (tmp_path / "cifar10").mkdir()
    words = shlex.split(command(found("tanh", scale="cpu", data_folder=str(tmp_path))))
    assert words[-4:] == ["--only", "tanh", "--data-folder", "PATH"]


def test_what_was_not_run_is_named_and_what_was_but_is_not_here(store: Store, found: Found, ended: Ended) -> None:
    ended("tanh")
    ended("relu-he")
    ended("model-2", status=Status.RUNNING)
    text = left_out(store, found("tanh"))
    not_run, others, swept = text.split(". ")
    assert not_run.startswith(
        "Not run at this scale: Model 1, direct form (`pn-direct`); Model 1, dual form (`pn-dual`); "
    )
    assert "; Model 2, dual form (`model-2`); " in not_run
    assert not_run.count("(`") == 11
    assert others == "Run at this scale, and left out here: Model 1, ReLU, He (`relu-he`)"
    assert swept == "Of those that vary what the paper leaves open (`--sweep`) 13 are left out."
    everything = [e.name for e in PN.experiments]
    assert left_out(store, found(*everything)) == ""
    only = tuple(replace(e, heavy=True) if e.name == "model-3" else e for e in PN.experiments if not e.sweep)
    heavy = left_out(store, replace(found(*everything[:8]), paper=replace(PN, experiments=only)))
    assert heavy.startswith(
        "Not run at this scale: Model 3, CIFAR-100, dual form, augmented (`model-3`, takes a GPU); "
    )
    assert "leaves open" not in heavy


def test_the_time_is_what_was_measured_and_a_seed_has_one_only_when_all_its_runs_have(
    store: Store, found: Found, ended: Ended
) -> None:
    for seed, name, seconds in ((0, "tanh", 60.0), (0, "pn-dual", 100.0), (1, "tanh", 3600.0)):
        ends = enumerate((seconds / 2, seconds))
        curve = tuple(Metric(step=n, name="val_loss", value=1.0, seconds=end, epoch=1.0) for n, end in ends)
        write.append(store, ended(name, seed), Batch(metrics=curve))
    part = run_of_all(store, found(*FEW))
    assert part.startswith("3 runs of 4: 2 of the paper's 13 experiments, seeds 0, 1; cpu; torch 2.15.0; ")
    assert part.endswith("took 1 h 2 min in all, a median of 1 min 40 s a run (1 min 0 s to 1 h 0 min).")
    assert "took 1 h 1 min in all, 30 min 30 s a seed, a median of 30 min 30 s a run" in run_of_all(
        store, found("tanh")
    )
    assert run_of_all(store, found("relu-he")) == "No run has ended yet."
    ended("relu-he")
    assert run_of_all(store, found("relu-he", seeds=1)).endswith(". How long they took is not recorded.")
    swept = run_of_all(store, found("tanh", "rate-0.1"))
    assert "1 of the paper's 13 experiments and 1 of the 13 that vary what it leaves open" in swept
