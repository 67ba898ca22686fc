"""What a method may bring to a training: terms, parameters, optimisers, stages and a state of its own."""

import os
import signal

import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from gradscope import train as training
from gradscope.config import RunConfig
from gradscope.data import MiniBatch
from gradscope.methods import Judged, Method
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import open_store, read, read_terms, write


class Companion(Method):
    """A second head with an optimiser of its own, a scale that the run's optimiser trains, and two stages."""

    def __init__(self):
        self.scale = nn.Parameter(torch.ones(()))
        self.stages = []

    def prepare(self, given):
        features = given.model.output.in_features
        self.head = nn.Linear(features, len(given.data.classes))
        self.optimizer = torch.optim.Adam(self.head.parameters(), 0.01)
        self.draws = torch.Generator().manual_seed(3)
        self.features = []
        given.model.output.register_forward_pre_hook(lambda _, inputs: self.features.append(inputs[0]))

    def parameter_groups(self):
        return [{"params": [self.scale], "weight_decay": 0.0}]

    def at_epoch(self, model, epoch, epochs):
        model.output.requires_grad_(epoch > 0)
        self.stages.append(epoch)
        return "stage 1: body" if epoch == 0 else "stage 2: all"

    def before_pass(self, model, batch: MiniBatch):
        with torch.no_grad():
            model(batch.images)
        noise = torch.randn(self.features[-1].shape, generator=self.draws)
        loss = functional.cross_entropy(self.head(self.features.pop() + 0.1 * noise), batch.labels)
        self.features.clear()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def objective(self, model, batch):
        logits = model(batch.images)
        second = self.head(self.features.pop())
        terms = {
            "label": functional.cross_entropy(logits, batch.labels),
            "head": 0.3 * self.scale * functional.cross_entropy(second, batch.labels),
        }
        return Judged(logits=logits, terms=terms)

    def state_dict(self):
        return {
            "head": self.head.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "draws": self.draws.get_state(),
            "scale": self.scale.detach(),
        }

    def load_state_dict(self, state):
        self.head.load_state_dict(state["head"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.draws.set_state(state["draws"])
        self.scale.data.copy_(state["scale"])


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "build_methods", lambda settings: [Companion()])
    monkeypatch.setattr(training, "PROGRESS_SECONDS", 0.0)
    opened = open_store(tmp_path / "runs.db", create=True)
    yield opened
    opened.close()


CONFIG = with_overrides(
    RunConfig(),
    {
        "model.depth": 3,
        "model.width": 16,
        "data.limit": 300,
        "data.val_fraction": 0.2,
        "train.batch_size": 40,
        "train.epochs": 2,
        "train.device": "cpu",
        "optimizer.momentum": 0.9,
        "record.every": 4,
    },
)


def queued(store):
    return write.create_run(
        store, name="a", source="train", config=CONFIG.model_dump(mode="json"), status=Status.RUNNING
    )


def curve(store, run_id, name):
    frame = read.metrics(store, [run_id], [name])
    return dict(zip(frame["step"], frame["value"], strict=True))


def test_terms_become_curves_that_add_up_and_gradients_by_cause(store):
    run_id = queued(store)
    phases = set()
    assert training.train(store, run_id, on_progress=lambda told: phases.add(told.phase)) is Status.COMPLETED
    label, head, whole = (curve(store, run_id, name) for name in ("loss/label", "loss/head", "train_loss"))
    assert sorted(label) == list(range(12))
    assert all(label[s] + head[s] == pytest.approx(whole[s], rel=1e-6) for s in whole)
    shares = read_terms.term_series(store, run_id)
    assert sorted(set(shares["step"])) == [0, 1, 2, 4, 8]
    assert shares.groupby(["step", "layer"])["share"].sum().tolist() == pytest.approx([1.0] * (2 * 4 + 3), abs=1e-9)
    assert {"training, stage 1: body", "training, stage 2: all"} <= phases


def test_a_frozen_stage_leaves_its_layer_where_it_was(store):
    run_id = queued(store)
    training.train(store, run_id)
    shares = read_terms.term_series(store, run_id)
    assert set(shares.query("step < 6")["layer"]) == {0, 1}
    assert set(shares.query("step >= 6")["layer"]) == {0, 1, 2}


def test_what_a_method_brings_is_no_part_of_the_models_weights(store):
    run_id = queued(store)
    training.train(store, run_id)
    assert not [name for name in load_file(store.paths(run_id).model) if "head" in name or "scale" in name]


@pytest.mark.parametrize("stop_after", [3, 9])
def test_a_stopped_and_resumed_run_ends_as_if_it_had_not_been(store, stop_after):
    whole, cut = queued(store), queued(store)
    training.train(store, whole)
    sent = []

    def stop(progress):
        if progress.step >= stop_after and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))

    assert training.train(store, cut, on_progress=stop) is Status.STOPPED
    write.requeue(store, cut)
    assert training.train(store, cut) is Status.COMPLETED
    for name in ("loss/label", "loss/head", "train_loss", "train_accuracy"):
        assert curve(store, cut, name) == curve(store, whole, name)
    states = [torch.load(store.paths(r).resume, weights_only=True)["methods"][0] for r in (whole, cut)]
    assert states[0]["scale"] == states[1]["scale"] != 1
    assert torch.equal(states[0]["head"]["weight"], states[1]["head"]["weight"])
