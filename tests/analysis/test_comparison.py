import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradscope import histogram
from gradscope.analysis.comparison import decay_difference, layer_beside, outcomes, training_macs
from gradscope.analysis.distances import median_log2, wasserstein_decades
from gradscope.analysis.intervals import of_mean
from gradscope.analysis.pooling import pooled_counts, pooled_curves, pooled_profile, pooled_shares
from gradscope.config import Mlp, RunConfig, Train
from gradscope.records import Progress, Provenance, Results, Run, Status
from gradscope.store.read import METRIC_COLUMNS, STATS_COLUMNS
from gradscope.store.read_terms import TERM_COLUMNS

START = datetime(2026, 1, 1, tzinfo=UTC)
LATER = START + timedelta(hours=1)


def run(number: int, **changes: object) -> Run:
    known = Run(
        id=number, name=f"run {number}", status=Status.COMPLETED, source="train", config={}, tags=(), note="",
        created=START, started=START, ended=LATER, heartbeat=None, progress=Progress(last_step=9), results=Results(),
        provenance=Provenance(), n_parameters=None, stop_requested=False, error=None, nonfinite=None, lost_rows=0,
        recorder_seconds=0.0, revision=1,
    )  # fmt: skip
    return replace(known, **changes)


def profile(rms: dict[int, list[float]]) -> pd.DataFrame:
    rows = [
        {"run": r, "step": 5, "layer": i, "name": f"fc{i}", "depth": i / (len(values) - 1), "n": 10, "rms": value,
         "mean_abs": value, "max_abs": value, "zeros": 0 if value else 10, "nan": 0, "pos_inf": 0, "neg_inf": 0,
         "saturated": np.nan, "dead": 0.5}
        for r, values in rms.items()
        for i, value in enumerate(values)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=STATS_COLUMNS)


def test_a_group_of_seeds_is_its_geometric_mean_between_the_least_and_the_greatest() -> None:
    pooled = pooled_profile(profile({1: [1e-4, 1e-2], 2: [1e-2, 0.0], 7: [1.0, 1.0]}), {1: 1, 2: 1, 7: 7})
    assert pooled["run"].tolist() == [1, 1, 7, 7]
    assert pooled["rms"].tolist() == pytest.approx([1e-3, 1e-2, 1.0, 1.0])
    assert pooled["low"].tolist()[:2] == [1e-4, 0.0]
    assert pooled["high"].tolist()[:2] == [1e-2, 1e-2]
    assert pooled[["low", "high"]].tail(2).isna().all(axis=None)
    assert pooled["n"].tolist() == [20, 20, 10, 10]
    assert pooled["zeros"].tolist() == [0, 10, 0, 0]


def test_a_profile_of_single_runs_is_pooled_to_itself() -> None:
    alone = profile({3: [1e-4, 0.0, 1.0], 4: [1.0, 2.0]})
    pd.testing.assert_frame_equal(pooled_profile(alone, {3: 3, 4: 4})[STATS_COLUMNS], alone, check_dtype=False)


def curve(number: int, values: dict[int, float]) -> list[tuple[object, ...]]:
    return [(number, "val_accuracy", step, step / 10, value, float(step)) for step, value in values.items()]


def test_a_mean_curve_has_only_the_steps_that_all_its_runs_have() -> None:
    rows = curve(1, {0: 0.1, 10: 0.5, 20: 0.9}) + curve(2, {0: 0.3, 10: 0.7}) + curve(5, {0: 1.0, 30: 0.5})
    pooled = pooled_curves(pd.DataFrame(rows, columns=METRIC_COLUMNS), {1: 1, 2: 1, 5: 5})
    group, alone = (pooled[pooled["run"] == number] for number in (1, 5))
    assert group["step"].tolist() == [0, 10]
    assert group["value"].tolist() == pytest.approx([0.2, 0.6])
    assert group["low"].tolist() == pytest.approx([0.2 - math.sqrt(0.02), 0.6 - math.sqrt(0.02)])
    assert alone["value"].tolist() == [1.0, 0.5]
    assert alone["low"].isna().all()


def test_a_seed_that_diverged_is_not_averaged_away() -> None:
    rows = pd.DataFrame(curve(1, {0: 0.1}) + curve(2, {0: math.nan}), columns=METRIC_COLUMNS)
    assert math.isnan(pooled_curves(rows, {1: 1, 2: 1})["value"].item())


def test_pooled_histograms_are_those_of_all_values_together() -> None:
    first, second = np.array([0.5, 0.3]), np.array([2.0])
    pooled = pooled_counts({1: histogram.count(first), 2: histogram.count(second)}, {1: 1, 2: 1})
    assert pooled[1].tolist() == histogram.count(np.concatenate([first, second])).tolist()


def test_layers_of_one_depth_are_subtracted_whatever_the_number_of_layers() -> None:
    both = profile({1: [1e-4, 1e-2], 2: [1e-3, 1e-3, 1e-3]})
    found = decay_difference(both, reference=1, align="depth")
    assert found["run"].tolist() == [2, 2, 2]
    assert found["decades"].tolist() == pytest.approx([1.0, 0.0, -1.0])
    assert found["reference"].tolist() == pytest.approx([1e-4, 1e-3, 1e-2])


def test_by_index_only_layers_that_both_have_are_subtracted() -> None:
    both = profile({1: [1e-4, 0.0, 1e-2], 2: [1e-3, 1e-3, 1e-3, 1e-3]})
    found = decay_difference(both, reference=1, align="layer")
    assert found["layer"].tolist() == [0, 2]
    assert found["decades"].tolist() == pytest.approx([1.0, -1.0])
    assert decay_difference(both, reference=9).empty


def test_student_s_interval_of_three_seeds() -> None:
    found = of_mean([0.90, 0.92, 0.94, math.nan])
    assert (found.n, round(found.mean, 4), round(found.low, 4), round(found.high, 4)) == (3, 0.92, 0.8703, 0.9697)
    assert math.isnan(of_mean([0.5]).low)
    assert of_mean([]).n == 0


def test_outcomes_are_pooled_over_seeds() -> None:
    seeds = [
        run(i, results=Results(best_val_accuracy=0.9 + i / 100, test_accuracy=0.8 + i / 100), n_parameters=7)
        for i in (1, 2, 3)
    ]
    alone = run(9, progress=Progress(last_step=9, seconds=60.0), watched_seconds=10.0, recorder_seconds=0.1)
    gradients = profile({1: [1e-2, 1e-1, 1.0], 2: [1e-2, 1e-1, 1.0], 3: [1.0, 1.0, 1.0], 9: [1.0, 1.0, 1.0]})
    found = outcomes([*seeds, alone], {1: 1, 2: 1, 3: 1, 9: 9}, gradients, LATER).set_index("group")
    assert found.loc[1, ["n", "runs", "parameters", "seconds"]].tolist() == [3, (1, 2, 3), 7, 3600]
    assert found.loc[1, ["val_accuracy", "test_accuracy", "test_deviation"]].tolist() == pytest.approx(
        [0.92, 0.82, 0.01]
    )
    assert found.loc[1, ["test_low", "test_high"]].tolist() == pytest.approx([0.82 - 0.02484, 0.82 + 0.02484], abs=1e-5)
    assert found.loc[1, "factor"] == pytest.approx((0.1 * 0.1) ** (1 / 3))
    assert found.loc[1, "verdict"] == "vanishing (2 of 3)"
    assert found.loc[9, ["seconds", "recording", "verdict"]].tolist() == [60.0, 0.01, "flat"]
    assert found.loc[9, ["test_accuracy", "test_low", "seconds_deviation"]].isna().all()


def test_a_training_costs_three_forward_passes_a_picture() -> None:
    config = RunConfig(model=Mlp(depth=2, width=10), train=Train(epochs=4)).model_dump(mode="json")
    half_way = run(1, config=config, progress=Progress(last_step=9, epoch=2.0))
    n_train, forward = 1374, 64 * 10 + 10 * 10
    assert training_macs(half_way) == 3 * forward * n_train * 2
    assert training_macs(run(2, config={"lr": 0.1}, source="attached")) is None


def positions(counts: np.ndarray) -> np.ndarray:
    return np.repeat(histogram.centres_log2() * np.log10(2), counts)


@given(st.lists(st.integers(0, 5), min_size=4, max_size=4), st.lists(st.integers(0, 5), min_size=4, max_size=4))
def test_the_distance_is_that_of_the_sorted_values(first: list[int], second: list[int]) -> None:
    """Of as many values on both sides it is the mean gap between the i-th smallest ones (Vallender 1974)."""
    a, b = np.zeros(histogram.BINS, dtype=np.int64), np.zeros(histogram.BINS, dtype=np.int64)
    a[300:304], b[302:306] = first, second
    found = wasserstein_decades(a, b)
    if not a.any() or not b.any():
        assert math.isnan(found)
        return
    left, right = np.repeat(positions(a), b.sum()), np.repeat(positions(b), a.sum())
    assert found == pytest.approx(np.abs(np.sort(left) - np.sort(right)).mean(), abs=1e-12)


def test_ten_times_larger_is_a_decade_apart() -> None:
    values = np.random.default_rng(0).normal(size=4000)
    apart = wasserstein_decades(histogram.count(values), histogram.count(10 * values))
    assert apart == pytest.approx(1.0, abs=0.01)
    assert median_log2(histogram.count(8 * values)) - median_log2(histogram.count(values)) == pytest.approx(3.0)
    assert math.isnan(median_log2(histogram.count(np.zeros(3))))


def test_shares_of_terms_are_averaged_over_seeds() -> None:
    rows = [(r, 5, 0, "fc0", 0.0, term, share, 0.1) for r, own in ((1, 0.2), (2, 0.4)) for term, share in (
        ("label", own), ("hint", 1 - own))]  # fmt: skip
    pooled = pooled_shares(pd.DataFrame(rows, columns=TERM_COLUMNS), {1: 1, 2: 1})
    assert pooled[["run", "term", "share"]].to_numpy().tolist() == [[1, "label", pytest.approx(0.3)], [1, "hint", 0.7]]


def test_a_layer_of_another_network_stands_beside_the_one_at_its_place() -> None:
    names = [(1, i, f"fc{i}", i / 2) for i in range(3)] + [(2, i, f"conv{i}", i / 4) for i in range(5)]
    layers = pd.DataFrame(names, columns=["run", "layer", "name", "depth"])
    assert layer_beside(layers, 1, "fc1") == (1, "fc1")
    assert layer_beside(layers, 2, "fc1") == (2, "conv2")
    assert layer_beside(layers, 2, "fc1", align="layer") == (1, "conv1")
    assert layer_beside(layers, 1, "conv4", align="layer") is None
    assert layer_beside(layers, 3, "fc1") is None
    assert layer_beside(layers, 1, "gone") is None
