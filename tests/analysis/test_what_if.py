import math

import pandas as pd
import pytest

from gradscope.analysis.what_if import Switches, error_decades, in_words, launched, profile, settings
from gradscope.config import BatchNorm, Initialisation, Mlp, PseudoNorm, Resnet, RunConfig, Torchvision, Train
from gradscope.overrides import with_overrides
from gradscope.store.read import STATS_COLUMNS

PLAIN = RunConfig(model=Mlp(activation="sigmoid"))


def changed(config: RunConfig, **switches: object) -> RunConfig:
    return with_overrides(config, settings(config, Switches(**switches)))


def test_no_switch_changes_nothing() -> None:
    assert changed(PLAIN) == PLAIN
    assert Switches().is_none
    assert Switches(form="dual").is_none
    assert not Switches(gain=2.0).is_none


def test_a_gain_multiplies_the_run_s_own_start() -> None:
    own = RunConfig(methods=(Initialisation(scheme="he", gain=0.5, bias_std=0.1),))
    assert changed(own, gain=3.0).methods == (Initialisation(scheme="he", gain=1.5, bias_std=0.1),)
    assert changed(own, scheme="xavier", gain=3.0).methods == (Initialisation(scheme="xavier", gain=3.0, bias_std=0.1),)


def test_pytorch_s_start_is_lecun_s_with_a_gain() -> None:
    """Linear draws its weights uniformly from +-1 / sqrt(fan_in), whose variance is 1 / (3 fan_in)."""
    assert changed(PLAIN, gain=2.0).methods == (Initialisation(scheme="lecun", gain=1.155),)


@pytest.mark.parametrize("config", [PLAIN, RunConfig(model=Mlp(batch_norm=True)), RunConfig(methods=(BatchNorm(),))])
def test_a_norm_is_put_in_once_and_taken_out_wherever_it_is(config: RunConfig) -> None:
    normed = changed(config, batch_norm=True)
    assert normed.model.batch_norm + (BatchNorm() in normed.methods) == 1
    without = changed(config, batch_norm=False)
    assert not without.model.batch_norm
    assert without.methods == ()


def test_shortcuts_and_pseudo_normalisation() -> None:
    assert changed(PLAIN, shortcuts=True).model.residual
    resnet, others = RunConfig(model=Resnet()), RunConfig(model=Torchvision())
    assert changed(resnet, shortcuts=False, batch_norm=True) == resnet
    assert changed(others, activation="tanh", shortcuts=True, batch_norm=False) == others
    assert changed(PLAIN, pseudo_norm=1, form="dual").methods == (PseudoNorm(every=1, form="dual"),)
    assert changed(changed(PLAIN, pseudo_norm=2), pseudo_norm=0).methods == ()


def test_the_name_of_a_run_says_what_is_changed() -> None:
    assert in_words(Switches(gain=0.5)) == "weights x0.5"
    assert in_words(Switches(shortcuts=False, batch_norm=False, pseudo_norm=2)) == (
        "no norm, no shortcuts, pseudo-norm direct every 2"
    )


def test_a_run_of_the_same_settings_is_found_wherever_it_was_trained(make_run) -> None:
    elsewhere = PLAIN.model_copy(update={"preset": "sigmoid", "train": Train(device="cpu")})
    runs = [make_run(3, elsewhere), make_run(2, PLAIN), make_run(1, changed(PLAIN, shortcuts=True))]
    assert [run.id for run in launched(runs, PLAIN)] == [2, 3]


@pytest.fixture
def make_run():
    from datetime import UTC, datetime

    from gradscope.records import Progress, Provenance, Results, Run, Status

    def make(number: int, config: RunConfig) -> Run:
        return Run(
            id=number, name="", status=Status.COMPLETED, source="train", config=config.model_dump(mode="json"), tags=(),
            note="", created=datetime.now(UTC), started=None, ended=None, heartbeat=None, revision=0,
            progress=Progress(last_step=0), results=Results(), provenance=Provenance(), n_parameters=None,
            stop_requested=False, error=None, nonfinite=None, lost_rows=0, recorder_seconds=0.0,
        )  # fmt: skip

    return make


def row(kind: str, layer: int, rms: float | None) -> dict[str, object]:
    counts = dict.fromkeys(("zeros", "nan", "pos_inf", "neg_inf"), 0)
    return {"kind": kind, "layer": layer, "name": f"fc{layer}", "depth": layer / 1, "n": 4, "rms": rms, **counts}


def test_an_answer_becomes_a_profile() -> None:
    rows = [row("gradient", 0, 1e-3), row("gradient", 1, None), row("signal", 0, 1.0)]
    found = profile(rows, run=7, kind="gradient")
    assert list(found.columns) == STATS_COLUMNS
    assert found["rms"].tolist()[0] == 1e-3
    assert math.isnan(found["rms"][1])
    assert (found["run"] == 7).all()
    assert profile([], run=7, kind="gradient").empty


def test_a_prediction_ten_times_too_large_is_a_decade_off() -> None:
    names = pd.DataFrame({"name": ["a", "b", "c"]})
    predicted, recorded = names.assign(rms=[1.0, 1.0, 0.0]), names.assign(rms=[0.1, 1.0, 1.0])
    assert error_decades(predicted, recorded) == pytest.approx(0.5)
    assert math.isnan(error_decades(predicted.tail(1), recorded))
