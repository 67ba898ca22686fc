"""From rules to a diagnosis: the cause before its consequences, the worst first, remedies that this run can take."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted import LAYERS, STEPS, decaying, healthy, never_learning, scaled, with_curves

from gradscope.analysis.findings import (
    EXPLAINED_BY,
    EXPLAINED_BY_EARLIER,
    Severity,
    Tables,
    diagnose,
    every_finding,
    is_healthy,
    verdict,
)
from gradscope.analysis.findings.remedies import ADVICE, REMEDIES, settings_of
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.records import Kind


def vanished(**settings: str) -> Tables:
    tables = scaled(scaled(never_learning(healthy()), Kind.SIGNAL, decaying(0.2)), Kind.UPDATE, decaying(0.1))
    config = with_overrides(PRESETS["sigmoid"].config, settings)
    return replace(tables, config=config.model_dump(mode="json"))


def test_the_cause_is_told_and_not_what_comes_of_it() -> None:
    assert [f.name for f in diagnose(vanished())] == ["vanishing_gradient"]


def test_what_is_explained_itself_holds_nothing_back() -> None:
    """Steps so large that the network saturates and stops; its loss swings, and that it stops is no excuse for that."""
    growth = np.linspace(1, 40, len(STEPS))[:, None] * np.ones(LAYERS)
    still = np.where(STEPS[:, None] > 40, 1e-6, 1.0) * growth
    torn = scaled(scaled(healthy(), Kind.WEIGHT, growth), Kind.UPDATE, still)
    swinging = with_curves(torn, train_loss=2.3 * (1.5 + np.sin(np.arange(200) / 6)))
    assert {"large_update", "no_update", "oscillating_loss"} <= {f.name for f in every_finding(swinging)}
    assert {f.name for f in diagnose(swinging)} == {"large_update", "oscillating_loss"}


def test_what_vanishes_after_large_steps_is_theirs() -> None:
    late = np.where(STEPS[:, None] > 20, decaying(0.2), 1.0)
    vanishing = scaled(scaled(healthy(), Kind.SIGNAL, late), Kind.UPDATE, np.full(LAYERS, 300.0))
    assert "vanishing_gradient" in {f.name for f in every_finding(vanishing)}
    assert "vanishing_gradient" not in {f.name for f in diagnose(vanishing)}


@pytest.mark.parametrize(("saturated_from", "is_told"), [(10, False), (60, True)])
def test_what_vanishes_in_layers_that_saturated_before_is_theirs(saturated_from: int, is_told: bool) -> None:
    late = np.where(STEPS[:, None] > 20, decaying(0.2), 1.0)
    vanishing = scaled(scaled(never_learning(healthy()), Kind.SIGNAL, late), Kind.UPDATE, late)
    shares = np.where(STEPS[:, None] >= saturated_from, 0.95, 0.0) * np.ones(LAYERS)
    both = scaled(vanishing, Kind.ACTIVATION, np.ones(LAYERS), saturated=shares)
    assert "saturated_units" in {f.name for f in diagnose(both)}
    assert ("vanishing_gradient" in {f.name for f in diagnose(both)}) is is_told


def test_no_finding_explains_itself_by_way_of_others() -> None:
    def behind(name: str, seen: tuple[str, ...] = ()) -> None:
        assert name not in seen, " <- ".join((*seen, name))
        for cause in EXPLAINED_BY.get(name, frozenset()):
            behind(cause, (*seen, name))

    for name in EXPLAINED_BY:
        behind(name)


def test_overfitting_is_stopped_where_the_validation_loss_was_lowest() -> None:
    tables = healthy()
    values = np.array([2.0, 1.4, 1.0, 0.8, 1.0, 1.3, 1.6, 1.9, 2.2, 2.4])
    config = with_overrides(PRESETS["relu"].config, {"train.epochs": 10})
    rising = replace(
        with_curves(tables, train_loss=2.3 * np.exp(-np.arange(200) / 20)),
        config=config.model_dump(mode="json"),
    )
    val = replace(rising.val_loss, steps=np.arange(19, 200, 20), values=values)
    (finding,) = diagnose(replace(rising, curves={**rising.curves, "val_loss": val}))
    assert finding.remedies[0].title == "stop after 4 epochs"
    assert finding.remedies[0].why == "There the validation loss was lowest."
    assert finding.remedies[0].settings == {"train.epochs": "4"}


def test_the_verdict_is_the_worst_finding_and_how_many_more_there_are() -> None:
    tables = replace(vanished(), skipped=np.arange(30, 200, 10))
    findings = diagnose(tables)
    assert [f.severity for f in findings] == [Severity.CRITICAL, Severity.WARNING]
    assert verdict(findings, tables).startswith("The gradient vanishes from fc7 down to fc1")
    assert verdict(findings, tables).endswith("And 1 more finding.")
    assert not is_healthy(findings)


def test_remedies_are_settings_that_this_run_can_take_and_does_not_have() -> None:
    (finding,) = diagnose(vanished())
    titles = [r.title for r in finding.remedies]
    assert titles[0] == "ReLU with He initialisation"
    assert "shortcuts around every layer" in titles
    (other,) = diagnose(vanished(**{"model.residual": "true"}))
    assert "shortcuts around every layer" not in [r.title for r in other.remedies]


def test_every_remedy_gives_a_run_that_can_be_started() -> None:
    before = settings_of(vanished().config)
    for finding in diagnose(vanished()):
        for remedy in finding.remedies:
            assert with_overrides(before, remedy.settings) != before
            assert remedy.arguments.startswith("--set ")


def test_a_loop_of_somebodys_own_gets_advice_only() -> None:
    tables = replace(scaled(healthy(), Kind.UPDATE, np.full(LAYERS, 1e-4)), config={"lr": 0.1})
    (finding,) = diagnose(tables)
    assert finding.remedies == ()
    gradient = tables.grids[Kind.GRADIENT]
    cut = replace(tables, grids={**tables.grids, Kind.GRADIENT: replace(gradient, n=gradient.n * (np.arange(10) > 2))})
    worst = diagnose(cut)[0]
    assert (worst.name, [r.settings for r in worst.remedies]) == ("no_gradient", [{}])


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_take_some_remedy_against_every_finding_that_has_settings(preset: str) -> None:
    config = PRESETS[preset].config
    for name, choices in REMEDIES.items():
        for remedy in choices(config):
            assert 0 < len(remedy.title) <= 40, f"{name}: a button and a part of a run's name; `why` has room"
            assert all("." in path for path in remedy.settings)


def test_names_in_the_tables_of_causes_and_remedies_are_names_of_findings() -> None:
    known = {*REMEDIES, *ADVICE}
    for table in (EXPLAINED_BY, EXPLAINED_BY_EARLIER):
        assert set(table) <= known
        assert {cause for causes in table.values() for cause in causes} <= known


def test_a_finding_is_plain_values_for_programs() -> None:
    (finding,) = diagnose(vanished())
    told = finding.as_json()
    assert told["name"] == "vanishing_gradient"
    assert told["severity"] == "critical"
    assert told["evidence"] == {"page": "Gradient decay", "step": 0, "layer": 0, "kind": "signal"}


ODD = (0.0, np.nan, np.inf, -1.0, 1e-300, 1e300)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), share=st.sampled_from([0.05, 0.5, 1.0]), until=st.sampled_from(STEPS.tolist()))
def test_no_odd_value_breaks_a_diagnosis(seed: int, share: float, until: int) -> None:
    random = np.random.default_rng(seed)

    def spoiled(values: np.ndarray) -> np.ndarray:
        return np.where(random.random(values.shape) < share, random.choice(ODD, values.shape), values)

    tables = healthy()
    grids = {
        kind: replace(
            grid,
            **{name: spoiled(getattr(grid, name)) for name in ("rms", "max_abs", "zeros", "saturated", "dead")},
            n=np.where(random.random(grid.n.shape) < share, 0.0, grid.n),
            nonfinite=np.where(random.random(grid.n.shape) < share / 2, 1.0, 0.0),
        )
        for kind, grid in tables.grids.items()
        if random.random() < 0.8
    }
    curves = {name: replace(c, values=spoiled(c.values)) for name, c in tables.curves.items() if random.random() < 0.8}
    odd = replace(tables, grids=grids, curves=curves)
    for finding in diagnose(odd.until(until)):
        assert 0 <= finding.confidence <= 1
        assert finding.since <= max(odd.last_step, 0)
        assert all(0 <= layer < LAYERS for layer in finding.layers)
        assert finding.text.endswith(".")
