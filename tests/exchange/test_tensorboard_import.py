"""Event files written by torch's SummaryWriter, and runs that came of them."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import nn

import gradscope
from gradscope import histogram
from gradscope.errors import ExchangeError
from gradscope.records import Kind
from gradscope.store import open_store, read

pytest.importorskip("tensorboard", reason="TensorBoard is not installed")


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "runs.db", create=True)
    yield store
    store.close()


@pytest.fixture
def import_(store, tmp_path):
    from gradscope.exchange.tensorboard_import import import_logdir

    return lambda: list(import_logdir(store, tmp_path / "logs"))


@pytest.fixture
def write_events(tmp_path):
    from torch.utils.tensorboard import SummaryWriter

    def write_events(*calls, folder="."):
        with SummaryWriter(tmp_path / "logs" / folder) as writer:
            for call in calls:
                call(writer)

    return write_events


def reader(store, run_id):
    return gradscope.open(store.name).run(run_id)


def test_curves_come_over_to_the_last_digit(import_, write_events, store):
    values = [0.5, 0.1, float("nan"), 2.0]
    write_events(
        *[lambda w, s=s, v=v: w.add_scalar("Loss/train", v, s, walltime=100 + s) for s, v in enumerate(values)]
    )
    (imported,) = import_()
    run = reader(store, imported.run_id)
    points = run.metrics()
    assert points["value"].tolist() == pytest.approx(np.float32(values).tolist(), rel=0, abs=0, nan_ok=True)
    assert points["step"].tolist() == [0, 1, 2, 3]
    assert points["seconds"].tolist() == [0, 1, 2, 3]
    assert (run.info.status, run.info.name, run.info.tags) == ("completed", "logs", ("tensorboard",))
    assert run.info.progress.last_step == 3


def test_nothing_is_sampled_away(import_, write_events):
    write_events(*[lambda w, s=s: w.add_scalar("loss", s, s) for s in range(3000)])
    assert import_()[0].n_points == 3000


def test_gradients_become_layers_with_exact_rms_and_counts_that_add_up(import_, write_events, store):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(30, 40), nn.Tanh(), nn.Linear(40, 2))
    net(torch.randn(8, 30)).square().sum().backward()
    write_events(lambda w: [w.add_histogram(f"{n}.grad", p.grad, 5) for n, p in net.named_parameters()])
    (imported,) = import_()
    assert imported.left_out == {"histograms of biases": 2}
    run = reader(store, imported.run_id)
    assert run.layers()[["name", "n_weights"]].values.tolist() == [["0", 1200], ["2", 80]]
    rows = run.layer_stats(["gradient"])
    for row, weight in zip(rows.itertuples(), (net[0].weight, net[2].weight), strict=True):
        gradient = weight.grad.double().numpy()
        assert row.rms == pytest.approx(np.sqrt(np.square(gradient).mean()), rel=1e-12)
        assert row.max_abs == np.abs(gradient).max()
        assert row.mean_abs == pytest.approx(np.abs(gradient).mean(), rel=0.01)
        assert (row.step, row.n) == (5, gradient.size)
        _, counts = read.histograms(store, imported.run_id, row.layer, Kind.GRADIENT)
        assert counts.sum() == gradient.size
        exact = histogram.count(gradient)
        assert np.abs(np.cumsum(counts[0]) - np.cumsum(exact)).max() <= 0.05 * gradient.size
    assert "lie evenly within each bucket" in run.info.note


def test_each_folder_of_event_files_is_a_run(import_, write_events, store):
    for folder in (".", "a", "a/deep"):
        write_events(lambda w: w.add_scalar("loss", 1.0, 0), folder=folder)
    assert [i.name for i in import_()] == ["logs", "a", "a/deep"]


def test_hyper_parameters_become_the_config(import_, write_events, store):
    write_events(lambda w: w.add_hparams({"lr": 0.1, "act": "tanh", "bn": True}, {"best": 1.0}, run_name="."))
    assert reader(store, import_()[0].run_id).info.config == {"lr": 0.1, "act": "tanh", "bn": True}


def test_what_has_no_place_is_counted_and_said(import_, write_events, store):
    write_events(
        lambda w: w.add_image("picture", np.zeros((3, 4, 4)), 0),
        lambda w: w.add_text("words", "hello", 0),
        lambda w: w.add_histogram("latency", np.arange(9.0), 0),
        lambda w: w.add_scalar("loss", 1.0, 3),
        lambda w: w.add_scalar("loss", 2.0, 3),
    )
    (imported,) = import_()
    told = (
        "images (1), texts (1), histograms of unknown kind (1), points that a later one of the same step replaced (1)"
    )
    assert str(imported).endswith(f"1 points of curves, 0 histograms of 0 layers; left out: {told}")
    run = reader(store, imported.run_id)
    assert run.info.note.endswith(f"Left out: {told}.")
    assert run.metrics()["value"].tolist() == [2.0]


def test_a_torn_file_gives_what_is_whole_and_says_so(import_, write_events, tmp_path):
    write_events(*[lambda w, s=s: w.add_scalar("loss", s, s) for s in range(5)])
    (file,) = (tmp_path / "logs").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    (imported,) = import_()
    assert imported.n_points == 4
    assert list(imported.left_out) == [f"what follows a damaged or unfinished record in {file.name}"]


def test_all_zeros_and_tensorflows_tables_are_understood(import_, tmp_path, store, write_events):
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.plugins.histogram.summary_v2 import histogram_pb
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(tmp_path / "logs"))
    for step, values in enumerate([[0.0] * 8, [0.25, 0.26, 1.0]]):
        writer.add_event(Event(step=step, summary=histogram_pb("grads/fc", np.array(values))))
    writer.close()
    (imported,) = import_()
    rows = reader(store, imported.run_id).layer_stats(["gradient"])
    assert rows[["n", "zeros"]].values.tolist() == [[8, 8], [3, 0]]
    assert rows["rms"].tolist() == pytest.approx([0, np.sqrt((0.25**2 + 0.26**2 + 1) / 3)], rel=0.02)


def test_a_folder_without_event_files_is_refused(import_, tmp_path):
    with pytest.raises(ExchangeError, match="holds no event files; give the folder that `tensorboard --logdir`"):
        import_()


def test_the_command_says_what_it_made(write_events, tmp_path):
    write_events(lambda w: w.add_scalar("loss", 1.0, 0))
    words = ["import", "tensorboard", tmp_path / "logs", "--store", tmp_path / "new.db"]
    done = subprocess.run([sys.executable, "-m", "gradscope", *map(str, words)], capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("run 1 (logs): 1 points of curves, 0 histograms of 0 layers\n", 0)
