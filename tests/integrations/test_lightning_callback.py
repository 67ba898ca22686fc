"""The callback within Lightning's own Trainer."""

import pytest
import torch
from recorded import curve, gradient_rms, network, only_run, pictures, rms, steps
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gradscope

pl = pytest.importorskip("lightning.pytorch", reason="Lightning is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning recommends loggers, more workers and so on


class Classifier(pl.LightningModule):
    def __init__(self, lr=0.5, at_batch=lambda module, index: None):
        super().__init__()
        self.save_hyperparameters(ignore=["at_batch"])
        self.net, self.at_batch = network(), at_batch

    def training_step(self, batch, index):
        self.at_batch(self, index)
        x, y = batch
        loss = nn.functional.cross_entropy(self.net(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, index):
        x, y = batch
        self.log("val_loss", nn.functional.cross_entropy(self.net(x), y))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), self.hparams.lr)


def batches():
    return DataLoader(TensorDataset(*pictures(24)), batch_size=8)


@pytest.fixture
def fit(tmp_path):
    from gradscope.integrations.lightning import GradScopeCallback

    def fit(module, *, validate=False, callback=None, **options):
        options = {"max_epochs": 2, "enable_progress_bar": False, "accelerator": "cpu", **options}
        callback = callback or GradScopeCallback(name="mine", store=tmp_path / "runs.db", every=1, log="all")
        trainer = pl.Trainer(
            callbacks=[callback],
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            default_root_dir=tmp_path,
            **options,
        )
        trainer.fit(module, batches(), batches() if validate else None)
        return trainer

    return fit


def run_of(tmp_path):
    return only_run(tmp_path / "runs.db")


def test_a_fit_becomes_a_run_with_every_step_and_metric(fit, tmp_path):
    fit(Classifier(), validate=True)
    run = run_of(tmp_path)
    assert (run.info.name, run.info.status, run.info.source) == ("mine", "completed", "attached")
    assert run.info.config == {"lr": 0.5}
    assert run.info.progress.total_steps == 6
    assert steps(run) == [0, 1, 2, 3, 4, 5]
    assert [s for s, _ in curve(run, "train_loss")] == [0, 1, 2, 3, 4, 5]
    assert [s for s, _ in curve(run, "val_loss")] == [2, 5]
    assert run.metrics().query("name == 'val_loss'")["epoch"].tolist() == [1.0, 2.0]
    assert set(run.layer_stats()["kind"]) == {"gradient", "weight", "update", "activation", "signal"}


def test_the_gradients_are_those_of_a_plain_loop(fit, tmp_path):
    fit(Classifier(), gradient_clip_val=0.01, max_epochs=1)
    net = network()
    optimizer = torch.optim.SGD(net.parameters(), 0.5)
    for step, (x, y) in enumerate(batches()):
        optimizer.zero_grad()
        nn.functional.cross_entropy(net(x), y).backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.01)
        found = gradient_rms(run_of(tmp_path), step)
        assert found == pytest.approx({"net.0": rms(net[0].weight.grad), "net.2": rms(net[2].weight.grad)}, rel=1e-5)
        optimizer.step()


def test_accumulated_batches_are_one_step(fit, tmp_path):
    fit(Classifier(), accumulate_grad_batches=3)
    run = run_of(tmp_path)
    assert steps(run) == [0, 1]
    assert [s for s, _ in curve(run, "train_loss")] == [0, 1]


def test_an_exception_makes_a_failed_run(fit, tmp_path):
    def explode(module, index):
        if index == 2:
            raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        fit(Classifier(at_batch=explode))
    run = run_of(tmp_path)
    assert (run.info.status, run.info.error) == ("failed", "RuntimeError: out of luck")
    assert steps(run) == [0, 1]


def test_an_interruption_makes_a_stopped_run(fit, tmp_path):
    def interrupt(module, index):
        if index == 1:
            raise KeyboardInterrupt

    with pytest.raises(SystemExit):
        fit(Classifier(at_batch=interrupt))
    assert run_of(tmp_path).info.status == "stopped"


def test_the_stop_button_ends_the_training(fit, tmp_path):
    def press_stop(module, index):
        gradscope.recorder.current.current().request_stop()

    trainer = fit(Classifier(at_batch=press_stop), max_epochs=100)
    assert trainer.global_step == 1
    assert run_of(tmp_path).info.status == "stopped"


def test_a_second_fit_is_a_second_run(fit, tmp_path):
    from gradscope.integrations.lightning import GradScopeCallback

    callback = GradScopeCallback(store=tmp_path / "runs.db", config={"try": "again"}, layers="net.2")
    for lr in (0.5, 0.1):
        fit(Classifier(lr=lr), callback=callback)
    reader = gradscope.open(tmp_path / "runs.db")
    runs = [reader.run(i) for i in sorted(reader.runs()["id"])]
    assert [r.info.config for r in runs] == [{"lr": 0.5, "try": "again"}, {"lr": 0.1, "try": "again"}]
    assert [r.layers()["name"].tolist() for r in runs] == [["net.2"], ["net.2"]]
    assert [r.info.status for r in runs] == ["completed", "completed"]


class Rivals(pl.LightningModule):
    """Two networks, two optimisers; the second takes a step only every other batch."""

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = network(), network()

    def training_step(self, batch, index):
        x, y = batch
        for optimizer, net in zip(self.optimizers(), (self.generator, self.critic), strict=True):
            if net is self.critic and index % 2:
                continue
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(net(x), y)
            self.manual_backward(loss)
            optimizer.step()
            self.log("generator_loss" if net is self.generator else "critic_loss", loss)

    def configure_optimizers(self):
        return [torch.optim.SGD(self.generator.parameters(), 0.1), torch.optim.Adam(self.critic.parameters())]


def test_each_of_several_optimisers_is_a_run_of_its_own(fit, tmp_path):
    fit(Rivals())
    reader = gradscope.open(tmp_path / "runs.db")
    generator, critic = [reader.run(i) for i in sorted(reader.runs()["id"])]
    assert [generator.info.name, critic.info.name] == ["mine / generator", "mine / critic"]
    assert generator.layers()["name"].tolist() == ["generator.0", "generator.2"]
    assert critic.layers()["name"].tolist() == ["critic.0", "critic.2"]
    assert (steps(generator), steps(critic)) == ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3])
    assert [s for s, _ in curve(generator, "generator_loss")] == [0, 1, 2, 3, 4, 5]
    assert {r.info.status for r in (generator, critic)} == {"completed"}
