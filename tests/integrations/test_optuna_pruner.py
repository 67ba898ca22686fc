"""The real Optuna ends trials because of what is found in their gradients."""

from pathlib import Path

import optuna
import pytest
import torch
from optuna.pruners import BasePruner, ThresholdPruner
from optuna.trial import TrialState
from torch import nn
from torch.nn import functional

import gradscope
from gradscope.analysis.findings import Severity, Thresholds
from gradscope.errors import RecorderError
from gradscope.integrations.optuna import RUN_ATTRIBUTE, DoctorPruner
from gradscope.records import Status

EPOCHS, STEPS = 6, 8


@pytest.fixture(autouse=True)
def quiet():
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs.db"


def network(activation: str) -> nn.Module:
    torch.manual_seed(0)
    parts = [part for _ in range(8) for part in (nn.Linear(16, 16), getattr(nn, activation)())]
    return nn.Sequential(*parts, nn.Linear(16, 2))


def trained(trial: optuna.Trial, pruner: DoctorPruner) -> float:
    model = network(trial.suggest_categorical("activation", ["Sigmoid", "ReLU"]))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    images = torch.randn(64, 16)
    labels = (images[:, 0] > 0).long()
    with pruner.recorded(trial, total_steps=EPOCHS * STEPS) as run:
        run.watch(model, optimizer, log="all", every=4)
        for epoch in range(EPOCHS):
            for _ in range(STEPS):
                optimizer.zero_grad()
                loss = functional.cross_entropy(model(images), labels)
                loss.backward()
                optimizer.step()
                run.log({"train_loss": loss})
            trial.report(float(loss.detach()), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned
    return float(loss.detach())


def study_of(pruner: BasePruner, *activations: str) -> optuna.Study:
    study = optuna.create_study(pruner=pruner, study_name="search", sampler=optuna.samplers.RandomSampler(seed=0))
    for activation in activations:
        study.enqueue_trial({"activation": activation})
    return study


def test_a_trial_that_will_not_learn_is_ended_and_the_run_says_why(runs: Path) -> None:
    pruner = DoctorPruner(store=runs)
    study = study_of(pruner, "Sigmoid", "ReLU")
    study.optimize(lambda trial: trained(trial, pruner), n_trials=2)
    ill, well = study.trials
    assert (ill.state, well.state) == (TrialState.PRUNED, TrialState.COMPLETE)
    assert list(ill.intermediate_values) == [0, 1], "at the second report in a row"
    first, second = (gradscope.open(runs).run(t.user_attrs[RUN_ATTRIBUTE]).info for t in (ill, well))
    assert first.status is Status.STOPPED
    assert first.error.startswith("ended by the pruner: The gradient vanishes")
    assert (second.status, second.name, second.tags) == (Status.COMPLETED, "search 1", ("search",))
    assert second.config == {"activation": "ReLU"}


def test_thresholds_severity_and_patience_can_be_chosen(runs: Path) -> None:
    mild = DoctorPruner(store=runs, limits=Thresholds(vanishing_decades=30.0, plateau_fall=-9.0, least_update=0.0))
    study = study_of(mild, "Sigmoid")
    study.optimize(lambda trial: trained(trial, mild), n_trials=1)
    assert study.trials[0].state is TrialState.COMPLETE
    hasty = DoctorPruner(store=runs, severity=Severity.WARNING, patience=1)
    study = study_of(hasty, "Sigmoid")
    study.optimize(lambda trial: trained(trial, hasty), n_trials=1)
    assert list(study.trials[0].intermediate_values) == [0]


def test_another_pruner_is_asked_as_well(runs: Path) -> None:
    pruner = DoctorPruner(store=runs, also=ThresholdPruner(upper=0.0))
    study = study_of(pruner, "ReLU")
    study.optimize(lambda trial: trained(trial, pruner), n_trials=1)
    assert study.trials[0].state is TrialState.PRUNED
    assert gradscope.open(runs).run(1).info.error is None


def test_a_trial_that_fails_ends_its_run_as_failed(runs: Path) -> None:
    pruner = DoctorPruner(store=runs)

    def objective(trial: optuna.Trial) -> float:
        with pruner.recorded(trial):
            raise ZeroDivisionError("none")

    study = study_of(pruner)
    study.optimize(objective, n_trials=1, catch=ZeroDivisionError)
    info = gradscope.open(runs).run(1).info
    assert (info.status, info.error) == (Status.FAILED, "ZeroDivisionError: none")


def test_a_trial_without_a_run_is_refused(runs: Path) -> None:
    pruner = DoctorPruner(store=runs)

    def objective(trial: optuna.Trial) -> float:
        trial.report(1.0, 0)
        return float(trial.should_prune())

    with pytest.raises(RecorderError, match="trial 0 is not recorded; train it inside"):
        study_of(pruner).optimize(objective, n_trials=1)


def test_where_recording_is_disabled_nothing_is_ended(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADSCOPE_MODE", "disabled")
    pruner = DoctorPruner(store=runs)
    study = study_of(pruner, "Sigmoid")
    study.optimize(lambda trial: trained(trial, pruner), n_trials=1)
    assert study.trials[0].state is TrialState.COMPLETE
    assert not runs.exists()
