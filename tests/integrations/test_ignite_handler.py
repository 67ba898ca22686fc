"""The handler on real engines of PyTorch Ignite."""

import pytest
import torch
from recorded import curve, gradient_rms, network, only_run, pictures, rms, steps
from torch import nn

import gradscope

ignite = pytest.importorskip("ignite", reason="PyTorch Ignite is not installed")


def batches():
    x, y = pictures(24)
    return list(zip(x.split(8), y.split(8), strict=True))


@pytest.fixture
def train(tmp_path):
    from ignite.engine import Engine, Events, create_supervised_evaluator
    from ignite.metrics import Accuracy, Loss

    from gradscope.integrations.ignite import GradScopeHandler

    def train(at_batch=lambda engine: None, epochs=2, **options):
        net = network()
        optimizer = torch.optim.SGD(net.parameters(), 0.5)

        def update(engine, batch):
            at_batch(engine)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(batch[0]), batch[1])
            loss.backward()
            optimizer.step()
            return loss.item()

        trainer = Engine(update)
        metrics = {"accuracy": Accuracy(), "loss": Loss(nn.functional.cross_entropy)}
        evaluator = create_supervised_evaluator(net, metrics=metrics)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(batches()) and None)
        handler = GradScopeHandler(name="mine", store=tmp_path / "runs.db", every=1, config={"lr": 0.5}, **options)
        handler.attach(trainer, net, optimizer, {"val": evaluator})
        return trainer.run(batches(), max_epochs=epochs)

    return train


def run_of(tmp_path):
    return only_run(tmp_path / "runs.db")


def test_a_training_becomes_a_run_with_every_step_and_curve(train, tmp_path):
    train()
    run = run_of(tmp_path)
    assert (run.info.name, run.info.status) == ("mine", "completed")
    assert run.info.config == {"max_epochs": 2, "epoch_length": 3, "lr": 0.5}
    assert run.info.progress.total_steps == 6
    assert steps(run) == [0, 1, 2, 3, 4, 5]
    assert [s for s, _ in curve(run, "train_loss")] == [0, 1, 2, 3, 4, 5]
    assert [s for s, _ in curve(run, "val_loss")] == [2, 5]
    assert [s for s, _ in curve(run, "val_accuracy")] == [2, 5]


def test_the_gradients_are_those_of_autograd(train, tmp_path):
    train(epochs=1)
    net, (x, y) = network(), batches()[0]
    nn.functional.cross_entropy(net(x), y).backward()
    expected = {"0": rms(net[0].weight.grad), "2": rms(net[2].weight.grad)}
    assert gradient_rms(run_of(tmp_path), 0) == pytest.approx(expected, rel=1e-6)


def test_any_output_can_be_made_into_curves(train, tmp_path):
    train(output_transform=lambda loss: {"loss": loss, "twice": 2 * loss, "text": "left out"}, epochs=1)
    run = run_of(tmp_path)
    assert [v for _, v in curve(run, "train_twice")] == [2 * v for _, v in curve(run, "train_loss")]
    assert set(run.metrics()["name"]) == {"train_loss", "train_twice", "val_loss", "val_accuracy"}


@pytest.mark.parametrize(
    ("error", "status", "cause"),
    [(RuntimeError("out of luck"), "failed", "RuntimeError: out of luck"), (KeyboardInterrupt(), "stopped", None)],
)
def test_an_exception_ends_the_run_and_goes_on_its_way(train, tmp_path, error, status, cause):
    def explode(engine):
        if engine.state.iteration == 2:
            raise error

    with pytest.raises(type(error)):
        train(explode)
    info = run_of(tmp_path).info
    assert (info.status, info.error) == (status, cause)


def test_the_stop_button_ends_the_training(train, tmp_path):
    state = train(lambda engine: gradscope.recorder.current.current().request_stop(), epochs=100)
    assert state.iteration == 1
    assert run_of(tmp_path).info.status == "stopped"
