"""A run on its way out, and back."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

import gradscope
from gradscope import histogram
from gradscope.errors import ExchangeError, RunNotFound
from gradscope.exchange.export import export
from gradscope.exchange.formats import Format
from gradscope.records import (
    Batch,
    Kind,
    Layer,
    LayerStats,
    Metric,
    Progress,
    SkippedStep,
    Status,
    TermCosine,
    TermGradient,
)
from gradscope.store import open_store, read, write


def stats(values, **where):
    finite = np.abs(values[np.isfinite(values)])
    return LayerStats(
        n=values.size,
        rms=float(np.sqrt(np.square(finite).mean())) if finite.size else None,
        mean_abs=float(finite.mean()) if finite.size else None,
        max_abs=float(finite.max()) if finite.size else None,
        zeros=int((values == 0).sum()),
        nan=int(np.isnan(values).sum()),
        pos_inf=int(np.isposinf(values).sum()),
        histogram=histogram.encode(histogram.count(values)),
        **where,
    )


@pytest.fixture
def store(tmp_path):
    """A run of two layers, three steps, with zeros, tiny values, a NaN and a step that has nothing finite."""
    store = open_store(tmp_path / "runs.db", create=True)
    run_id = write.create_run(store, name="out", source="attached", config={"lr": 0.1}, status=Status.RUNNING)
    names = ("conv", "head.fc")
    write.layers(
        store,
        run_id,
        [Layer(index=i, name=n, type="Linear", shape=(4, 25), n_weights=100) for i, n in enumerate(names)],
    )
    random = np.random.default_rng(0)
    rows = []
    for step in (0, 1, 10):
        for layer in (0, 1):
            values = random.normal(size=100) * 10.0 ** -random.integers(0, 45)
            values[: 10 * layer] = 0.0
            if (step, layer) == (1, 1):
                values[50:52] = np.nan
            rows.append(stats(values, step=step, layer=layer, kind=Kind.GRADIENT))
            rows.append(stats(values * 3, step=step, layer=layer, kind=Kind.WEIGHT))
    rows.append(stats(np.full(4, np.inf), step=10, layer=0, kind=Kind.SIGNAL))
    points = [
        Metric(name=n, step=s, value=None if s == 1 else s / 3, epoch=s / 2, seconds=s / 4)
        for n in ("train_loss", "val_loss")
        for s in (0, 1, 10)
    ]
    skipped = (SkippedStep(step=1, layer=1, kind="gradient", scale=4.0),)
    progress = Progress(last_step=10)
    write.append(store, run_id, Batch(stats=tuple(rows), metrics=tuple(points), skipped=skipped, progress=progress))
    share = TermGradient(step=1, layer=0, term="label", share=0.25, rms=2.0)
    cosine = TermCosine(step=1, layer=1, term="label", other="hint", cosine=-0.5)
    write.append(store, run_id, Batch(term_gradients=(share,), term_cosines=(cosine,)))
    write.finish(store, run_id, Status.COMPLETED)
    yield store
    store.close()


READERS = {Format.CSV: pd.read_csv, Format.PARQUET: pd.read_parquet}


@pytest.mark.parametrize("format_", READERS)
def test_tables_hold_everything(store, tmp_path, format_):
    out = tmp_path / "out"
    said = export(store, 1, format_, out)
    assert said == (
        f"run 1 (out) is written to {out}: histograms.{format_}, layer_stats.{format_}, metrics.{format_}, run.json, "
        f"skipped_steps.{format_}, term_cosines.{format_}, term_gradients.{format_}"
    )
    run, table = gradscope.open(store.name).run(1), READERS[format_]
    pd.testing.assert_frame_equal(table(out / f"layer_stats.{format_}"), run.layer_stats(), check_dtype=False)
    pd.testing.assert_frame_equal(table(out / f"metrics.{format_}"), run.metrics(), check_dtype=False)
    skipped = table(out / f"skipped_steps.{format_}")
    assert skipped[["step", "name", "kind"]].values.tolist() == [[1, "head.fc", "gradient"]]
    shares, cosines = table(out / f"term_gradients.{format_}"), table(out / f"term_cosines.{format_}")
    assert shares[["step", "name", "term", "share", "rms"]].values.tolist() == [[1, "conv", "label", 0.25, 2.0]]
    assert cosines[["name", "term", "other", "cosine"]].values.tolist() == [["head.fc", "label", "hint", -0.5]]
    found = table(out / f"histograms.{format_}").query("name == 'head.fc' and kind == 'gradient'")
    expected = run.histograms("head.fc", "gradient")
    pd.testing.assert_frame_equal(found[expected.columns].reset_index(drop=True), expected, check_dtype=False)
    document = json.loads((out / "run.json").read_text())
    assert (document["run"]["name"], document["run"]["status"]) == ("out", "completed")
    assert [layer["name"] for layer in document["layers"]] == ["conv", "head.fc"]


@pytest.mark.parametrize("format_", READERS)
def test_a_run_without_records_makes_tables_without_rows(tmp_path, format_):
    store = open_store(tmp_path / "empty.db", create=True)
    write.create_run(store, name="none", source="train", config={}, status=Status.QUEUED)
    export(store, 1, format_, tmp_path / "out")
    for name in ("histograms", "layer_stats", "metrics", "skipped_steps", "term_gradients", "term_cosines"):
        assert READERS[format_](tmp_path / "out" / f"{name}.{format_}").empty
    store.close()


def test_nothing_is_overwritten_and_nothing_half_done_stays(store, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(ExchangeError, match="out exists already and nothing is overwritten; name another folder"):
        export(store, 1, Format.CSV, out)
    with pytest.raises(RunNotFound, match="run 7 is not in the store"):
        export(store, 7, Format.CSV, tmp_path / "seven")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExchangeError, match="cannot be written"):
        export(store, 1, Format.CSV, tmp_path / "file" / "out")
    assert list(out.iterdir()) == []
    assert not [f for f in tmp_path.iterdir() if "partial" in f.name or f.name == "seven"]


def test_out_to_tensorboard_and_back_is_the_same_run(store, tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed")
    from gradscope.exchange.tensorboard_import import import_logdir

    export(store, 1, Format.TENSORBOARD, tmp_path / "out")
    (imported,) = import_logdir(store, tmp_path / "out")
    first, second = (gradscope.open(store.name).run(i) for i in (1, imported.run_id))
    assert (second.info.name, second.info.config, second.info.status) == ("out", {"lr": 0.1}, "completed")
    assert first.layers().drop(columns="run").equals(second.layers().drop(columns="run"))
    points = ["name", "step", "value"]
    curves = second.metrics().query("not name.str.contains('nonfinite')")[points].reset_index(drop=True)
    single = first.metrics()[points].assign(value=first.metrics()["value"].astype("float32").astype("float64"))
    pd.testing.assert_frame_equal(single, curves, check_exact=True)
    assert second.metrics().query("name == 'gradient_nonfinite/head.fc'")["value"].tolist() == [2.0]
    for layer in (0, 1):
        for kind in (Kind.GRADIENT, Kind.WEIGHT):
            for one, other in zip(*(read.histograms(store, i, layer, kind) for i in (1, imported.run_id)), strict=True):
                np.testing.assert_array_equal(one, other)
    exact = ["step", "layer", "kind", "zeros", "max_abs"]
    kept = first.layer_stats().query("kind != 'signal'")
    came = second.layer_stats()
    assert kept[exact].reset_index(drop=True).equals(came[exact])
    for moment in ("rms", "mean_abs"):
        np.testing.assert_allclose(kept[moment], came[moment], rtol=1e-12)


def test_tensorboard_itself_reads_the_event_file(store, tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="TensorBoard is not installed"
    )
    export(store, 1, Format.TENSORBOARD, tmp_path / "out")
    events = accumulator.EventAccumulator(str(tmp_path / "out")).Reload()
    tags = events.Tags()
    assert tags["tensors"] == ["gradscope/run"]
    assert {"train_loss", "val_loss", "gradient_rms/conv", "gradient_nonfinite/head.fc"} <= set(tags["scalars"])
    assert tags["histograms"] == ["gradient/conv", "gradient/head.fc", "weight/conv", "weight/head.fc"]
    losses = [(e.step, e.value) for e in events.Scalars("train_loss")]
    assert losses == [(0, 0.0), (1, pytest.approx(float("nan"), nan_ok=True)), (10, pytest.approx(10 / 3))]
    assert sum(events.Histograms("gradient/head.fc")[0].histogram_value.bucket) == 100


def test_tables_are_written_without_torch_and_the_command_says_where(store, tmp_path):
    code = (
        "import sys; from gradscope.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: print(end.code, [m for m in ('torch', 'tensorboard') if m in sys.modules])"
    )
    for format_ in ("csv", "parquet"):
        words = ["export", "1", "--to", format_, "--out", str(tmp_path / format_), "--store", store.name]
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert done.stdout.splitlines()[-1] == "0 []"
        assert done.stdout.startswith(f"run 1 (out) is written to {tmp_path / format_}: histograms.{format_}")
