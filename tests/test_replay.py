"""A replay against what training records, and against passes made by hand."""

import math

import pytest
import torch
from torch.nn import functional

from gradscope import first_batch
from gradscope.config import RunConfig, parse_config
from gradscope.jobs import create
from gradscope.overrides import with_overrides
from gradscope.records import Kind, Status
from gradscope.replay import Weights, needs_data, replay
from gradscope.store import Store, open_store, read
from gradscope.train import train
from gradscope.trained import fresh_network
from gradscope.workbench import questions
from gradscope.workbench.questions import what_if

SMALL = {"model.depth": 4, "model.width": 16, "data.limit": 200, "train.epochs": 1, "train.device": "cpu"}
CHANGES = {
    "as it is": {},
    "activation": {"model.activation": "relu"},
    "gain": {"methods.initialisation.scheme": "lecun", "methods.initialisation.gain": 2.0},
    "normalisation": {"methods.batch_norm": True},
    "shortcuts": {"model.residual": True},
    "pseudo-normalisation": {"methods.pseudo_norm.every": 1},
    "clipping": {"methods.clip_value.limit": 1e-4},
    "exits": {"methods.elastic.dropout": 0.0},
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return open_store(tmp_path_factory.mktemp("replay") / "runs.db", create=True)


def trained(store: Store, config: RunConfig) -> int:
    run = create(store, config, "small", status=Status.RUNNING)
    assert train(store, run) is Status.COMPLETED
    return run


@pytest.fixture(scope="module")
def run(store: Store) -> int:
    return trained(store, with_overrides(RunConfig(), {**SMALL, "model.activation": "sigmoid"}))


def rms_of(found, kind: Kind) -> list[float]:
    return [row.rms for row in found.stats if row.kind is kind]


@pytest.mark.parametrize("change", CHANGES)
def test_the_prediction_is_step_0_of_the_run_that_is_launched_with_it(store: Store, run: int, change: str) -> None:
    config = with_overrides(parse_config(read.run(store, run).config), CHANGES[change])
    kept = first_batch.load(store.paths(run))
    predicted = replay(config, kept.batch, kept.n_classes)
    launched = trained(store, config)
    for kind in (Kind.GRADIENT, Kind.SIGNAL, Kind.ACTIVATION):
        recorded = read.profile(store, [launched], kind, step=0)
        assert rms_of(predicted, kind) == pytest.approx(recorded["rms"].tolist(), rel=1e-6)
    loss = read.metrics(store, [launched], ["train_loss"])["value"][0]
    assert predicted.loss == pytest.approx(loss, rel=1e-6)


def test_the_trained_weights_are_replayed_as_autograd_has_it(store: Store, run: int) -> None:
    config = with_overrides(parse_config(read.run(store, run).config), {"model.activation": "tanh"})
    kept, tensors = first_batch.load(store.paths(run)), torch_file(store, run)
    model = fresh_network(config, tuple(kept.batch.images.shape[1:]), kept.n_classes, seed=7)
    model.load_state_dict(tensors)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith("weight"):
                weight *= 0.5
    functional.cross_entropy(model(kept.batch.images), kept.batch.labels).backward()
    by_hand = [float(w.grad.square().mean().sqrt()) for n, w in model.named_parameters() if n.endswith("weight")]
    found = replay(config, kept.batch, kept.n_classes, weights=Weights(tensors=tensors, scale=0.5))
    assert rms_of(found, Kind.GRADIENT) == pytest.approx(by_hand, rel=1e-5)


def torch_file(store: Store, run: int):
    from safetensors.torch import load_file

    return load_file(store.paths(run).model)


def test_weights_without_a_place_are_left_out_and_new_layers_begin_afresh(store: Store, run: int) -> None:
    config = with_overrides(parse_config(read.run(store, run).config), {"methods.batch_norm": True})
    kept = first_batch.load(store.paths(run))
    found = replay(config, kept.batch, kept.n_classes, weights=Weights(tensors=torch_file(store, run)))
    assert all(value > 0 for value in rms_of(found, Kind.GRADIENT))


def test_the_global_random_numbers_stay_as_they_are(store: Store, run: int) -> None:
    config, kept = parse_config(read.run(store, run).config), first_batch.load(store.paths(run))
    before = torch.get_rng_state()
    replay(config, kept.batch, kept.n_classes)
    assert torch.equal(torch.get_rng_state(), before)
    assert not needs_data(config)


def test_a_run_that_kept_no_batch_draws_it_from_its_data(store: Store, run: int) -> None:
    asked = {"store": store.name, "run": run, "settings": {}, "weights": "start", "scale": 1.0}
    kept = what_if(asked)
    store.paths(run).first_batch.write_bytes(b"torn")
    assert first_batch.load(store.paths(run)) is None
    assert what_if(asked) == kept
    assert first_batch.load(store.paths(run)).is_whole


def test_a_large_batch_is_kept_in_part(tmp_path, store: Store) -> None:
    wide = with_overrides(RunConfig(), {**SMALL, "data.limit": 600, "train.batch_size": 400})
    kept = first_batch.load(store.paths(trained(store, wide)))
    assert (len(kept.batch), kept.is_whole, kept.n_classes) == (256, False, 10)


def test_a_loss_that_is_not_finite_is_said_so(store: Store, run: int) -> None:
    asked = {"store": store.name, "run": run, "settings": {}, "weights": "checkpoint", "scale": 1e38}
    answer = what_if(asked)
    assert answer["loss"] is None or math.isfinite(answer["loss"])
    assert {row["kind"] for row in answer["rows"]} == {"gradient", "signal", "activation"}
    assert [row["name"] for row in answer["rows"] if row["kind"] == "gradient"][-1] == "output"


def test_an_answer_takes_as_many_pictures_as_two_seconds_allow(store: Store, run: int, monkeypatch) -> None:
    asked = {"store": store.name, "run": run, "settings": {}, "weights": "start", "scale": 1.0}
    assert (what_if(asked)["images"], what_if(asked)["is_whole"]) == (50, True)
    monkeypatch.setattr(questions, "MOST_MACS", 3 * 20 * (64 * 16 + 2 * 16 * 16 + 16 * 10))
    assert (what_if(asked)["images"], what_if(asked)["is_whole"]) == (20, False)
