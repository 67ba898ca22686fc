"""Training on a GPU with the passes in a CUDA graph learns and records what it does without."""

import pytest

import gradscope
from gradscope import train as training
from gradscope.config import RunConfig
from gradscope.overrides import with_overrides
from gradscope.records import Status
from gradscope.store import open_store, write

pytestmark = pytest.mark.gpu

SETTINGS = {
    "model.activation": "tanh",
    "methods.pseudo_norm.every": 2,
    "methods.clip_value.limit": 0.5,
    "data.limit": 600,
    "train.epochs": 2,
    "train.device": "cuda",
    "train.mixed_precision": False,
}


def trained(path, *, graph, form):
    store = open_store(path, create=True)
    changes = {"train.cuda_graph": graph, "methods.pseudo_norm.form": form}
    config = with_overrides(RunConfig(), SETTINGS | changes)
    run = write.create_run(
        store, name="run", source="train", config=config.model_dump(mode="json"), status=Status.RUNNING
    )
    assert training.train(store, run) is Status.COMPLETED
    store.close()
    return gradscope.open(path).run(run)


@pytest.mark.parametrize("form", ["direct", "dual"])
def test_a_graph_changes_neither_the_losses_nor_what_is_recorded(tmp_path, form):
    plain = trained(tmp_path / "plain.db", graph=False, form=form)
    graphed = trained(tmp_path / "graphed.db", graph=True, form=form)
    for table, columns in (("metrics", ["step", "name", "value"]), ("layer_stats", ["step", "layer", "kind", "rms"])):
        one, other = (getattr(run, table)()[columns] for run in (plain, graphed))
        assert one.iloc[:, :-1].equals(other.iloc[:, :-1])
        assert other.iloc[:, -1].to_numpy() == pytest.approx(one.iloc[:, -1].to_numpy(), rel=1e-3, abs=1e-6)
