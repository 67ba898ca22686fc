"""What is said of the five demo runs, trained for a while by the real loop into a real store."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gradscope.analysis.findings import Finding, Severity, is_healthy
from gradscope.cli.app import app
from gradscope.demo import demo_runs
from gradscope.diagnosis import diagnose_run
from gradscope.errors import RunNotFound
from gradscope.jobs import create
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import Store, open_store
from gradscope.train import train

EPOCHS = 4


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The demo's runs in their order, from 1, each a few epochs long."""
    store = open_store(tmp_path_factory.mktemp("demo") / "runs.db", create=True)
    for name, config in demo_runs():
        short = with_overrides(config, {"train.epochs": EPOCHS, "train.device": "cpu"})
        run_id = create(store, short, name, status=Status.RUNNING)
        assert train(store, run_id) is Status.COMPLETED
    yield store
    store.close()


RUNS = {name: number for number, (name, _) in enumerate(demo_runs(), 1)}


def told(store: Store, name: str) -> dict[str, Finding]:
    return {f.name: f for f in diagnose_run(store, RUNS[name])}


def test_sigmoid_is_told_as_vanishing_with_its_layers_and_factor(demo: Store) -> None:
    seen = told(demo, "sigmoid")["vanishing_gradient"]
    assert seen.severity is Severity.CRITICAL
    assert "from hidden.5 down to hidden.0" in seen.text
    assert "\N{MULTIPLICATION SIGN}0.2" in seen.text
    assert seen.since == 0


def test_deep_tanh_is_told_as_vanishing(demo: Store) -> None:
    seen = told(demo, "tanh")["vanishing_gradient"]
    assert seen.severity is Severity.WARNING
    assert "\N{MULTIPLICATION SIGN}0.8" in seen.text


def test_the_amplification_of_pseudo_normalised_tanh_is_named(demo: Store) -> None:
    seen = told(demo, "tanh-pn")
    assert seen["amplification"].severity is Severity.NOTE
    assert "bearable" in seen["amplification"].text
    assert is_healthy(list(seen.values()))


@pytest.mark.parametrize("name", ["tanh-residual", "relu"])
def test_healthy_ones_are_told_healthy(demo: Store, name: str) -> None:
    assert told(demo, name) == {}


def test_a_run_that_is_not_there_is_named(demo: Store) -> None:
    with pytest.raises(RunNotFound, match="run 99 is not in the store"):
        diagnose_run(demo, 99)


def doctor(store: Store, *arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["doctor", *arguments, "--store", store.name])
    return done.exit_code, done.output


def test_the_command_says_what_is_wrong_and_ends_with_1(demo: Store) -> None:
    code, text = doctor(demo, "1")
    assert code == 1
    assert text.startswith("run 1 (sigmoid): The gradient vanishes from hidden.5 down to hidden.0: ")
    assert "vanishing_gradient, critical, since step 0, " in text
    assert "- ReLU with He initialisation: --set model.activation=relu" in text


def test_the_command_ends_with_0_for_a_healthy_run(demo: Store) -> None:
    assert doctor(demo, str(RUNS["relu"]))[0] == 0


def test_the_command_gives_json_for_programs(demo: Store) -> None:
    code, text = doctor(demo, "1", "--json")
    assert code == 1
    parsed = json.loads(text)
    assert (parsed["run"], parsed["healthy"]) == (1, False)
    assert [parsed["layers"][place] for place in parsed["findings"][0]["layers"]][:2] == ["hidden.0", "hidden.1"]
    assert parsed["findings"][0]["remedies"][0]["settings"]["model.activation"] == "relu"


def test_thresholds_are_set_on_the_command_line(demo: Store) -> None:
    loose = ("--threshold", "vanishing_decades=30", "--threshold", "plateau_fall=-9")
    assert "vanishes" not in doctor(demo, "1", *loose)[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [("vanishing_decades", "is no assignment of a number"), ("size=3", "threshold 'size' is unknown; use one of")],
)
def test_a_threshold_that_cannot_be_is_refused(demo: Store, given: str, message: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["doctor", "1", "--store", demo.name, "--threshold", given])
    assert message in str(result.exception)
