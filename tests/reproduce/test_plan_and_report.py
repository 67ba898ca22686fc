from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from reproductions import Ended, Found

from gradscope.config import Digits, Mlp, RunConfig, Train
from gradscope.errors import GradScopeError
from gradscope.records import Batch, Gain, Kind, Layer, LayerStats, Progress, Status
from gradscope.reproduce.cost import EVALUATION, MACS_PER_CORE, SECONDS_PER_STEP_ON_GPU, STARTING, cost
from gradscope.reproduce.plan import plan
from gradscope.reproduce.report import (
    contrasts_table,
    gain_table,
    gradient_table,
    markdown,
    results_table,
    write_report,
)
from gradscope.reproduce.summary import differences, paired, summary
from gradscope.store import Store, read, write


def test_the_summary_has_mean_deviation_and_distance_to_the_published_figure(found: Found, ended: Ended) -> None:
    for seed, accuracy in enumerate((0.78, 0.80, 0.82)):
        ended("pn-dual", seed, accuracy)
    ended("tanh", 0, 0.7)
    ended("tanh", 1, None, Status.DIVERGED)
    table = summary(found("tanh", "pn-dual", seeds=3)).set_index("experiment")
    dual, tanh = table.loc["pn-dual"], table.loc["tanh"]
    assert (dual["published"], dual["n"], dual["runs"]) == (0.805, 3, "3 of 3")
    assert dual["mean"] == pytest.approx(0.80)
    assert dual["deviation"] == pytest.approx(0.02)
    assert dual["difference"] == pytest.approx(-0.005)
    assert (tanh["n"], tanh["runs"]) == (1, "1 of 3, 1 diverged")
    assert np.isnan(tanh["published"])
    assert np.isnan(tanh["deviation"])
    texts = results_table(found("tanh", "pn-dual", seeds=3))
    assert texts["ours"].tolist() == ["70.0 %", "80.0 ± 2.0 %"]
    assert texts["difference, points"].tolist() == ["—", "-0.5"]


def test_pairs_are_compared_seed_by_seed(found: Found, ended: Ended) -> None:
    for seed, (plain, dual) in enumerate(((0.5, 0.6), (0.7, 0.74), (0.6, 0.58))):
        ended("tanh", seed, plain)
        ended("pn-dual", seed, dual)
    (only,) = paired(found("tanh", "pn-dual", seeds=3))
    assert (only.n, only.higher) == (3, 2)
    assert only.mean == pytest.approx(0.04)
    assert contrasts_table(found("tanh", "pn-dual", seeds=3))["points"].tolist() == ["+4.0 ± 6.0"]
    assert paired(found("tanh", seeds=3)) == []


def test_every_setting_that_the_scale_changes_is_listed(found: Found) -> None:
    group = found("model-3", seeds=1, scale="cpu")
    listed = {d.setting: (d.paper, d.ours) for d in differences(group, group.items[0].experiment)}
    assert listed["train.epochs"] == ("160 at full scale", "6")
    assert listed["data.limit"] == ("not set at full scale", "10000")
    assert listed["schedule.tail_epochs"] == ("20 at full scale", "1")
    assert "peak learning rate" in listed
    assert "train.seed" not in listed


def test_where_the_data_lie_is_no_difference(found: Found, tmp_path: Path) -> None:
    (tmp_path / "cifar10").mkdir()
    group = found("model-2", seeds=1, scale="cpu", data_folder=str(tmp_path))
    assert group.items[0].config.data.name == "parquet"
    assert group.items[0].config.data.path
    assert not {"data", "data.path"} & {d.setting for d in differences(group, group.items[0].experiment)}
    digits = found("model-2", seeds=1, data_folder=str(tmp_path))
    listed = {d.setting: d.ours for d in differences(digits, digits.items[0].experiment)}
    assert listed["data"] == "digits"


def test_time_is_told_from_arithmetic_and_then_from_an_earlier_run(store: Store, found: Found) -> None:
    config = RunConfig(data=Digits(), model=Mlp(depth=3, width=100), train=Train(epochs=2))
    item = replace(found("tanh", seeds=1).items[0], config=config, noise=None)
    images, macs = 2 * 1374, 64 * 100 + 100 * 100 + 100 * 10
    training = EVALUATION * images * macs / (MACS_PER_CORE * 4)
    assert cost(item, [], cores=4, gpu=False) == pytest.approx(STARTING + training)
    on_gpu = STARTING + EVALUATION * images * SECONDS_PER_STEP_ON_GPU / 50
    assert cost(item, [], cores=4, gpu=True) == pytest.approx(on_gpu)

    run = write.create_run(
        store, name="x", source="train", config=config.model_dump(mode="json"), status=Status.RUNNING
    )
    write.append(store, run, Batch(progress=Progress(last_step=3, samples_per_second=1000.0)))
    earlier = [read.run(store, run)]
    twice = replace(item, config=config.model_copy(update={"train": Train(epochs=4)}))
    assert cost(twice, earlier, cores=4, gpu=True) == pytest.approx(STARTING + EVALUATION * 2 * images / 1000)
    foreign = [replace(earlier[0], config={"model": 1})]
    assert cost(twice, foreign, cores=4, gpu=False) == pytest.approx(STARTING + 2 * training)


def test_a_test_under_noise_costs_a_forward_pass_a_picture(found: Found, ended: Ended) -> None:
    item = found("tanh", seeds=1).items[0]
    whole = cost(item, [], cores=1, gpu=False)
    training = cost(replace(item, noise=None), [], cores=1, gpu=False)
    ended("tanh")
    trained = cost(found("tanh", seeds=1).items[0], [], cores=1, gpu=False)
    assert None not in (whole, training, trained)
    assert trained - STARTING == pytest.approx(whole - training)  # type: ignore[operator]
    per_picture = (training - STARTING) / (EVALUATION * 90 * 2)  # type: ignore[operator]
    # without noise, then two draws of two levels of two kinds, of 50 pictures
    assert trained - STARTING == pytest.approx(per_picture / 3 * 50 * (1 + 2 * 2 * 2))  # type: ignore[operator]


def test_the_plan_counts_and_adds_up(found: Found, ended: Ended) -> None:
    ended("pn-direct")
    ended("relu-lecun", status=Status.RUNNING)
    planned = plan(found("model-2", "pn-direct", "relu-lecun", seeds=2), [], in_background=False)
    assert planned.sentence.startswith("6 runs: 1 done, 1 under way, 4 to train, about ")
    assert planned.seconds == pytest.approx(sum(t for _, t in planned.items if t))
    assert [t is None for _, t in planned.items] == [True, True, False, False, False, False]


def with_gradients(store: Store, run: int, first: float) -> None:
    write.layers(store, run, [Layer(index=i, name=f"l{i}", type="Linear", shape=(2, 2), n_weights=4) for i in range(3)])
    rows = tuple(LayerStats(step=0, layer=i, kind=Kind.GRADIENT, n=4, rms=r) for i, r in enumerate((first, 2.0, 5.0)))
    write.append(store, run, Batch(stats=rows))


def test_the_report_is_written_between_its_marks_from_the_store_alone(
    store: Store, found: Found, ended: Ended, tmp_path: Path
) -> None:
    with_gradients(store, ended("tanh", 0, 0.5), 0.02)
    with_gradients(store, ended("tanh", 1, 0.7), 0.2)
    group = found("tanh")
    assert gradient_table(store, group)["first / last at step 0"].tolist() == ["0.0316"]
    file = tmp_path / "pn.md"
    write_report(file, store, group)
    first = file.read_text()
    assert first.startswith("# Pseudo-normalised gradients\n\nBu, Jiang")
    assert "| Model 1, plain tanh | — | 60.0 ± 14.1 % | — | 2 of 2 |" in first
    assert "\ngradscope reproduce pn --scale tiny --seeds 2 --only tanh --report FILE\n" in first
    assert "2 runs of 2: 1 of the paper's 13 experiments, seeds 0, 1; cpu; torch 2.15.0" in first
    assert "\nNot run at this scale: Model 1, direct form (`pn-direct`); " in first
    file.write_text(f"{first}\nWhat it means.\n")
    ended("pn-dual", 0, 0.9)
    write_report(file, store, found("tanh", "pn-dual"))
    second = file.read_text()
    assert second.count("<!-- end of figures -->") == 1
    assert "| Model 1, dual form | 80.5 % | 90.0 % | +9.5 | 1 of 2 |" in second
    assert second.endswith("<!-- end of figures -->\n\nWhat it means.\n")


def test_gains_are_multiplied_over_the_layers_and_shares_averaged(store: Store, found: Found, ended: Ended) -> None:
    ended("tanh")
    assert gain_table(store, found("tanh", "pn-dual")).empty
    for seed, last in ((0, 4.0), (1, 9.0)):
        run = ended("pn-dual", seed)
        write.layers(store, run, [Layer(index=i, name=f"l{i}", type="Linear", shape=(2,), n_weights=2) for i in (0, 1)])
        told = [(0, 0, 1.5, 0.6), (0, 1, 2.0, 0.7), (8, 0, 1.0, 0.5), (8, 1, last, 0.3)]
        rows = [Gain(step=s, layer=i, method="pseudo_norm", gain=g, share_above_one=a) for s, i, g, a in told]
        other = Gain(step=0, layer=1, method="gradient_amplification", gain=100.0, share_above_one=None)
        write.append(store, run, Batch(gains=(*rows, other)))
    (row,) = gain_table(store, found("tanh", "pn-dual")).to_numpy().tolist()
    assert row == ["Model 1, dual form", "3.00", "6.00", "65.0 %", "40.0 %"]


def test_a_report_of_nothing_says_so_and_one_that_cannot_be_written_is_refused(
    store: Store, found: Found, tmp_path: Path
) -> None:
    assert "No run has ended yet." in markdown(store, found("tanh"))
    with pytest.raises(GradScopeError, match="cannot be written"):
        write_report(tmp_path / "missing" / "pn.md", store, found("tanh"))
