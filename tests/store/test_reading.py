"""Every question to the store against small plain values."""

import math

import numpy as np
import pytest

from gradscope import histogram
from gradscope.errors import RunNotFound
from gradscope.records import Batch, Gain, Kind, Metric, NonFinite, Progress, Provenance, Results, SkippedStep, Status
from gradscope.store import read, write
from gradscope.store.notebook import open_runs
from gradscope.store.read import thinned


def add(store, run_id, *, stats=(), metrics=(), progress=None):
    write.append(store, run_id, Batch(stats=tuple(stats), metrics=tuple(metrics), progress=progress))


def losses(values, name="train_loss"):
    return [Metric(name=name, step=s, value=v, epoch=s / 10, seconds=s / 100) for s, v in values.items()]


def test_a_run_is_read_as_it_was_written(store, new_run):
    run_id = new_run(name="a", tags=["x", "y"], note="why")
    known = Provenance(seed=3, git_commit="abc", versions={"torch": "2"}, device="cpu", host="h", pid=5)
    write.start(store, run_id, provenance=known, n_parameters=2**40, total_steps=100)
    where = Progress(last_step=7, epoch=0.5, total_steps=100, samples_per_second=9.5, phase="training")
    add(store, run_id, progress=where)
    write.results(store, run_id, Results(val_accuracy=0.5, val_loss=1.5, best_val_accuracy=0.75))
    run = read.run(store, run_id)
    assert (run.id, run.name, run.tags, run.note, run.source) == (run_id, "a", ("x", "y"), "why", "train")
    assert run.config == {"depth": 3}
    assert run.provenance == known
    assert run.progress == where
    assert run.results == Results(val_accuracy=0.5, val_loss=1.5, best_val_accuracy=0.75)
    assert (run.status, run.n_parameters, run.error, run.nonfinite) == (Status.RUNNING, 2**40, None, None)
    assert run.created <= run.started <= run.heartbeat
    assert run.created.utcoffset().total_seconds() == 0


def test_runs_are_listed_newest_first(store, new_run):
    assert read.runs(store) == []
    a, b = new_run(name="a"), new_run(name="b")
    assert [(r.id, r.name) for r in read.runs(store)] == [(b, "b"), (a, "a")]


def test_a_run_that_is_not_there_is_said_so(store):
    with pytest.raises(RunNotFound, match=r"run 7 is not in the store .*; `gradscope runs` lists what is"):
        read.run(store, 7)


def test_unfinished_runs_are_those_that_wait_or_go_on(store, new_run):
    ids = {status: new_run(status=status) for status in Status}
    expected = {ids[s]: s for s in (Status.QUEUED, Status.RUNNING, Status.STOPPING)}
    assert read.unfinished(store) == expected


def test_the_revision_goes_up_with_every_change_and_only_then(store, new_run, stats):
    a, b = new_run(), new_run()
    seen = [read.revision(store, [a, b, 99])]
    for change in (
        lambda: add(store, a, stats=[stats(0)]),
        lambda: write.edit(store, a, note="n"),
        lambda: write.results(store, a, Results(test_loss=1.0)),
        lambda: write.request_stop(store, a),
        lambda: write.finish(store, a, Status.STOPPED),
    ):
        change()
        seen.append(read.revision(store, [a, b, 99]))
    assert [dict(r)[b] for r in seen] == [dict(seen[0])[b]] * 6
    of_a = [dict(r)[a] for r in seen]
    assert of_a == sorted(set(of_a))
    assert read.revision(store, [b, a]) == read.revision(store, [a, b])


def test_the_fingerprint_of_the_list_changes_when_a_run_comes_goes_or_changes(store, new_run):
    seen = [read.fingerprint(store)]
    run_id = new_run(status=Status.QUEUED)
    seen.append(read.fingerprint(store))
    write.edit(store, run_id, name="b")
    seen.append(read.fingerprint(store))
    write.delete(store, run_id)
    assert read.fingerprint(store) == seen[0] == (0, 0, 0)
    assert len(set(seen)) == 3


def test_curves_are_read_by_run_and_name(store, new_run):
    a, b = new_run(), new_run()
    add(store, a, metrics=losses({0: 2.5, 10: 1.25}) + losses({10: 0.5}, "val_accuracy"))
    add(store, b, metrics=losses({0: 3.0}))
    frame = read.metrics(store, [a, b])
    assert list(frame.columns) == ["run", "name", "step", "epoch", "value", "seconds"]
    assert frame.to_dict("split")["data"] == [
        [a, "train_loss", 0, 0.0, 2.5, 0.0],
        [a, "train_loss", 10, 1.0, 1.25, 0.1],
        [a, "val_accuracy", 10, 1.0, 0.5, 0.1],
        [b, "train_loss", 0, 0.0, 3.0, 0.0],
    ]
    assert set(read.metrics(store, [a], ["val_accuracy"])["name"]) == {"val_accuracy"}


def test_a_value_that_is_not_finite_comes_back_as_nan(store, new_run):
    run_id = new_run()
    add(store, run_id, metrics=losses({0: 1.0, 1: None}))
    values = read.metrics(store, [run_id])["value"]
    assert values[0] == 1.0
    assert math.isnan(values[1])
    assert values.dtype == "float64"


def test_a_curve_of_nans_alone_is_numbers_all_the_same(store, new_run):
    run_id = new_run()
    add(store, run_id, metrics=[Metric(name="x", step=0, value=None)])
    frame = read.metrics(store, [run_id])
    assert frame.dtypes[["epoch", "value", "seconds"]].eq("float64").all()


@pytest.mark.parametrize("n", [0, 1, 7, 10, 11, 20, 21, 1000])
def test_a_long_curve_is_thinned_as_the_slow_rule_says(n, store, new_run):
    run_id = new_run()
    add(store, run_id, metrics=losses(dict.fromkeys(range(n), 1.0)))
    assert read.metrics(store, [run_id], max_points=10)["step"].tolist() == thinned(range(n), 10)


def test_thinning_keeps_every_2_to_the_kth_point_and_the_last():
    assert thinned([], 3) == []
    assert thinned([5, 6, 7], 3) == [5, 6, 7]
    assert thinned(range(7), 3) == [0, 4, 6]
    assert thinned(range(6), 3) == [0, 2, 4, 5]


def test_the_points_of_a_live_curve_move_only_when_the_stride_doubles():
    drawn = [set(thinned(range(n), 10)) for n in range(200)]
    moved = [n for n in range(2, 200) if not drawn[n - 1] - {n - 2} <= drawn[n]]
    assert moved == [11, 21, 41, 81, 161]


def test_layers_have_their_depth_from_0_to_1(store, new_run):
    three, one = new_run(layers=3), new_run(layers=1)
    frame = read.layers(store, [three, one])
    assert list(frame.columns) == ["run", "layer", "name", "type", "shape", "n_weights", "trainable", "depth"]
    assert frame["depth"].tolist() == [0.0, 0.5, 1.0, 0.0]
    assert frame.iloc[1].to_dict() == {
        "run": three,
        "layer": 1,
        "name": "fc1",
        "type": "Linear",
        "shape": [4, 2],
        "n_weights": 8,
        "trainable": True,
        "depth": 0.5,
    }
    assert read.layers(store, []).empty


def gain_of(step, layer, gain, share=None, method="pseudo_norm"):
    return Gain(step=step, layer=layer, method=method, gain=gain, share_above_one=share)


def test_gains_of_each_run_at_its_step_nearest_below(store, new_run):
    a, b, without = new_run(layers=3), new_run(layers=3), new_run(layers=3)
    rows = [gain_of(s, layer, 1.0 + s + layer, 0.32) for s in (0, 10) for layer in (0, 2)]
    write.append(store, a, Batch(gains=tuple(rows)))
    write.append(store, b, Batch(gains=(gain_of(4, 1, None, method="gradient_amplification"),)))
    frame = read.gains(store, [a, b, without], step=7)
    assert list(frame.columns) == ["run", "step", "layer", "name", "depth", "method", "gain", "share_above_one"]
    assert frame[["run", "step", "layer", "name", "depth"]].values.tolist() == [
        [a, 0, 0, "fc0", 0.0],
        [a, 0, 2, "fc2", 1.0],
        [b, 4, 1, "fc1", 0.5],
    ]
    assert frame["gain"].tolist()[:2] == [1.0, 3.0]
    assert math.isnan(frame["gain"][2])
    assert math.isnan(frame["share_above_one"][2])
    assert frame["method"].tolist() == ["pseudo_norm", "pseudo_norm", "gradient_amplification"]
    assert read.gains(store, [a])["gain"].tolist() == [11.0, 13.0]
    assert read.gains(store, [without]).empty
    assert list(read.gains(store, []).columns) == list(frame.columns)


def test_gains_of_a_run_over_its_steps(store, new_run, stats):
    run_id = new_run(layers=1)
    rows = tuple(stats(s) for s in range(9))
    write.append(store, run_id, Batch(stats=rows, gains=tuple(gain_of(s, 0, 2.0) for s in range(9))))
    assert read.gain_series(store, run_id)["step"].tolist() == list(range(9))
    assert read.gain_series(store, run_id, max_steps=3)["step"].tolist() == [0, 4, 8]


def test_the_recorded_steps(store, new_run, stats):
    a, b = new_run(layers=2), new_run()
    add(store, a, stats=[stats(s, layer) for s in (0, 1, 2, 4, 8, 1000) for layer in (0, 1)])
    add(store, b, stats=[stats(3)])
    frame = read.steps(store, [a, b])
    assert frame.to_dict("split")["data"] == [[a, s] for s in (0, 1, 2, 4, 8, 1000)] + [[b, 3]]
    assert read.steps(store, []).dtypes.eq("int64").all()


def test_a_profile_is_every_layer_at_the_nearest_step_at_or_below(store, new_run, stats):
    a, b, silent = new_run(layers=2), new_run(layers=2), new_run()
    add(store, a, stats=[stats(s, layer, rms=s + layer / 10) for s in (0, 10, 20) for layer in (0, 1)])
    add(store, b, stats=[stats(5, layer, rms=7.0) for layer in (0, 1)])
    frame = read.profile(store, [a, b, silent], Kind.GRADIENT, step=15)
    columns = ["run", "step", "layer", "name", "depth", "rms"]
    assert frame[columns].to_dict("split")["data"] == [
        [a, 10, 0, "fc0", 0.0, 10.0],
        [a, 10, 1, "fc1", 1.0, 10.1],
        [b, 5, 0, "fc0", 0.0, 7.0],
        [b, 5, 1, "fc1", 1.0, 7.0],
    ]
    assert read.profile(store, [a], Kind.GRADIENT)["step"].unique().tolist() == [20]
    assert read.profile(store, [b], Kind.GRADIENT, step=4).empty
    assert read.profile(store, [a], Kind.SIGNAL).empty
    assert read.profile(store, [], Kind.GRADIENT).empty


def test_a_profile_has_every_number_and_nan_where_there_is_none(store, new_run, stats):
    run_id = new_run(layers=1)
    given = {"zeros": 1, "nan": 2, "pos_inf": 3, "neg_inf": 4, "saturated": 0.25}
    add(store, run_id, stats=[stats(0, rms=None, mean_abs=None, max_abs=None, **given)])
    row = read.profile(store, [run_id], Kind.GRADIENT).iloc[0]
    assert {name: row[name] for name in given} == given
    assert math.isnan(row["rms"])
    assert math.isnan(row["dead"])
    assert row["n"] == 8


def test_a_layer_map_is_every_layer_over_thinned_steps(store, new_run, stats):
    run_id = new_run(layers=2)
    add(store, run_id, stats=[stats(s, layer) for s in range(9) for layer in (0, 1)])
    add(store, run_id, stats=[stats(s, layer, Kind.SIGNAL) for s in range(9) for layer in (0, 1)])
    assert len(read.layer_map(store, run_id, Kind.GRADIENT)) == 18
    few = read.layer_map(store, run_id, Kind.SIGNAL, max_steps=3)
    assert few[["step", "layer"]].to_dict("split")["data"] == [[s, layer] for s in (0, 4, 8) for layer in (0, 1)]


def test_the_update_ratio_is_update_rms_over_weight_rms(store, new_run, stats):
    run_id = new_run(layers=1)
    rows = [(0, 0.002, 2.0), (1, 0.5, 0.0), (2, None, 1.0)]
    for step, update, weight in rows:
        both = [stats(step, kind=Kind.UPDATE, rms=update), stats(step, kind=Kind.WEIGHT, rms=weight)]
        add(store, run_id, stats=both)
    frame = read.update_ratio(store, run_id, 0)
    assert frame["step"].tolist() == [0, 1, 2]
    assert frame["ratio"].fillna(-1).tolist() == [0.001, -1, -1]


def test_histograms_come_back_as_they_were(store, new_run, stats):
    run_id = new_run(layers=2)
    values = np.random.default_rng(0).normal(size=(3, 1000))
    counts = [histogram.count(v) for v in values]
    for step, c in enumerate(counts):
        add(store, run_id, stats=[stats(step, 1, histogram=histogram.encode(c)), stats(step, 0)])
    steps, found = read.histograms(store, run_id, 1, Kind.GRADIENT)
    assert steps.tolist() == [0, 1, 2]
    assert found.dtype == np.int64
    assert (found == counts).all()
    steps, found = read.histograms(store, run_id, 0, Kind.GRADIENT)
    assert (steps.shape, found.shape) == ((0,), (0, 640))


def test_where_the_first_value_that_is_not_finite_appeared(store, new_run):
    run_id = new_run()
    write.finish(store, run_id, Status.DIVERGED, error="e", nonfinite=NonFinite(step=5, layer="fc1", kind="signal"))
    assert read.run(store, run_id).nonfinite == NonFinite(step=5, layer="fc1", kind="signal")


def test_a_notebook_reads_tidy_frames(store, new_run, stats):
    run_id = new_run(layers=2, name="mine")
    blob = histogram.encode(histogram.count(np.array([1.0, 1.0, 3.0])))
    both = [stats(0, 0, histogram=blob), stats(0, 1), stats(0, 0, Kind.SIGNAL)]
    write.append(store, run_id, Batch(skipped=(SkippedStep(step=0, layer=1),)))
    add(store, run_id, stats=both, metrics=losses({0: 1.0}))
    reader = open_runs(store.name)
    assert reader.runs()[["id", "name", "status"]].to_dict("split")["data"] == [[run_id, "mine", "running"]]
    run = reader.run(run_id)
    assert "mine" in repr(run)
    frame = run.layer_stats()
    assert list(frame.columns[:4]) == ["step", "layer", "name", "kind"]
    assert frame[["layer", "kind"]].to_dict("split")["data"] == [[0, "gradient"], [0, "signal"], [1, "gradient"]]
    assert run.layer_stats(["signal"])["layer"].tolist() == [0]
    bins = run.histograms("fc0")[["step", "log2_low", "log2_high", "count"]].to_dict("split")["data"]
    assert bins == [[0, 0.0, 0.5, 2], [0, 1.5, 2.0, 1]]
    assert run.histograms(0).equals(run.histograms("fc0"))
    assert run.metrics()["value"].tolist() == [1.0]
    assert run.layers()["name"].tolist() == ["fc0", "fc1"]
    assert run.amplification()["amplification"].tolist() == [1.0, 1.0]
    assert run.skipped_steps()["name"].tolist() == ["fc1"]
    with pytest.raises(ValueError, match="run 1 has no layer 'conv'; it has fc0, fc1"):
        run.histograms("conv")


def test_more_steps_than_sqlite_takes_parameters_are_read_whole(store, new_run, stats):
    run_id = new_run(layers=1)
    add(store, run_id, stats=[stats(0, histogram=b"\x01\x01")])
    # rows made by the database itself: a Python object each would take longer than all other tests here
    with store.writer.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO layer_stats (run_id, step, layer, kind, n, zeros, nan, pos_inf, neg_inf) "
            "WITH RECURSIVE s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 260000) "
            f"SELECT {run_id}, i, 0, 'gradient', 0, 0, 0, 0, 0 FROM s"
        )
    reader = open_runs(store.name).run(run_id)
    assert len(reader.layer_stats(["gradient"])) == 260_001
    assert reader.histograms(0)["count"].tolist() == [1]


def test_a_layer_or_kind_that_is_not_there_is_said_so(store, new_run):
    reader = open_runs(store.name).run(new_run(layers=1))
    with pytest.raises(ValueError, match="has no layer 7; it has"):
        reader.histograms(7)
    with pytest.raises(ValueError, match="kind 'grad' is unknown; use one of gradient, raw_gradient, signal"):
        reader.layer_stats(["grad"])


def test_amplification_is_the_treated_gradient_over_the_raw_one(store, new_run, stats):
    run_id, other = new_run(layers=3), new_run(layers=1)
    raw = Kind.RAW_GRADIENT
    treated = [stats(0, layer, rms=rms) for layer, rms in enumerate([0.5, 2.0, None])]
    add(store, run_id, stats=[*treated, stats(0, 0, raw, rms=0.125), stats(10, 0, rms=0.5), stats(10, 1, rms=0.0)])
    add(store, run_id, stats=[stats(20, 0, rms=0.5), stats(20, 0, raw, n=0, rms=None), stats(20, 1, raw, rms=0.0)])
    found = read.amplification(store, [run_id, other]).set_index(["step", "layer"])
    assert found.columns.tolist() == ["run", "name", "depth", "raw_rms", "rms", "amplification", "changed"]
    assert found.loc[(0, 0), ["raw_rms", "rms", "amplification", "changed"]].tolist() == [0.125, 0.5, 4.0, True]
    assert found.loc[(0, 1), ["raw_rms", "rms", "amplification", "changed"]].tolist() == [2.0, 2.0, 1.0, False]
    assert found["amplification"].isna().tolist() == [False, False, True, False, True, True]
    assert found.loc[(20, 0), "changed"]
    assert read.amplification(store, [other]).columns.tolist() == read.AMPLIFICATION_COLUMNS


def test_skipped_steps_are_listed_with_the_layer_that_overflowed(store, new_run):
    run_id, other = new_run(layers=2), new_run(layers=1)
    known = SkippedStep(step=3, attempt=0, layer=1, kind="gradient", scale=65536.0)
    write.append(store, run_id, Batch(skipped=(SkippedStep(step=3, attempt=1), known)))
    write.append(store, other, Batch(skipped=(SkippedStep(step=0, layer=0, kind="activation", scale=2.0),)))
    found = read.skipped_steps(store, [run_id])
    assert found.columns.tolist() == read.SKIPPED_COLUMNS
    assert found[["step", "attempt", "layer", "name", "kind", "scale"]].iloc[0].tolist() == [
        *(3, 0, 1.0, "fc1", "gradient", 65536.0)
    ]
    assert found.iloc[1].isna().tolist() == [False, False, False, True, True, True, True]
    assert len(read.skipped_steps(store, [run_id, other])) == 3
    write.rewind(store, run_id, 2)
    assert read.skipped_steps(store, [run_id]).empty
