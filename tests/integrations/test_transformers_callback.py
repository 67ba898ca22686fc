"""The callback within the Trainer of Hugging Face Transformers."""

import pytest
import torch
from recorded import curve, gradient_rms, network, only_run, pictures, rms, steps
from torch import nn

import gradscope

transformers = pytest.importorskip("transformers", reason="Transformers is not installed")
pytest.importorskip("accelerate", reason="Accelerate, which the Trainer needs, is not installed")

pytestmark = pytest.mark.filterwarnings("ignore")  # the Trainer warns of pinned memory and so on


class Classifier(nn.Module):
    def __init__(self, at_batch=lambda: None):
        super().__init__()
        self.net, self.at_batch = network(), at_batch

    def forward(self, x, labels):
        if self.training:
            self.at_batch()
        logits = self.net(x)
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def data(n=24):
    return [{"x": x, "labels": y} for x, y in zip(*pictures(n), strict=True)]


@pytest.fixture
def callback(tmp_path):
    from gradscope.integrations.transformers import GradScopeCallback

    return GradScopeCallback(name="mine", store=tmp_path / "runs.db", every=1, log="all", config={"idea": "tanh"})


@pytest.fixture
def trainer(tmp_path, callback):
    def make(model, **options):
        usual = {"num_train_epochs": 2, "logging_steps": 1, "optim": "sgd", "learning_rate": 0.5}
        options = {**usual, "per_device_train_batch_size": 8, **options}
        arguments = transformers.TrainingArguments(
            output_dir=str(tmp_path / "out"),
            use_cpu=True,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
            lr_scheduler_type="constant",
            **options,
        )
        return transformers.Trainer(model, arguments, train_dataset=data(), eval_dataset=data(8), callbacks=[callback])

    return make


def test_a_training_becomes_a_run_with_every_step_and_curve(trainer, tmp_path):
    trainer(Classifier(), eval_strategy="epoch").train()
    run = only_run(tmp_path / "runs.db")
    assert (run.info.name, run.info.status, run.info.error) == ("mine", "completed", None)
    assert (run.info.config["learning_rate"], run.info.config["idea"]) == (0.5, "tanh")
    assert run.info.progress.total_steps == 6
    assert steps(run) == [0, 1, 2, 3, 4, 5]
    assert [s for s, _ in curve(run, "train_loss")] == [0, 1, 2, 3, 4, 5]
    assert [s for s, _ in curve(run, "val_loss")] == [2, 5]
    assert "train_runtime" not in set(run.metrics()["name"])
    assert run.layers()["name"].tolist() == ["net.0", "net.2"]
    assert set(run.layer_stats()["kind"]) == {"gradient", "weight", "update", "activation", "signal"}


def test_the_gradients_are_clipped_and_accumulated_as_the_optimiser_gets_them(trainer, tmp_path):
    made = trainer(Classifier(), gradient_accumulation_steps=3, max_grad_norm=0.01, num_train_epochs=1)
    made.train()
    run = only_run(tmp_path / "runs.db")
    assert steps(run) == [0]
    found = gradient_rms(run, 0)
    net = network()
    sizes = sum(p.numel() * found[f"net.{i}"] ** 2 for i in (0, 2) for p in [net[i].weight])
    assert 0 < sizes**0.5 <= 0.01 * (1 + 1e-6)


def test_unclipped_gradients_are_those_of_autograd(trainer, tmp_path):
    trainer(Classifier(), max_grad_norm=0.0, num_train_epochs=1, per_device_train_batch_size=24).train()
    net, (x, y) = network(), pictures(24)
    nn.functional.cross_entropy(net(x), y).backward()
    expected = {"net.0": rms(net[0].weight.grad), "net.2": rms(net[2].weight.grad)}
    assert gradient_rms(only_run(tmp_path / "runs.db"), 0) == pytest.approx(expected, rel=1e-5)


def test_the_stop_button_ends_the_training(trainer, tmp_path):
    made = trainer(Classifier(lambda: gradscope.recorder.current.current().request_stop()), num_train_epochs=100)
    made.train()
    assert made.state.global_step == 1
    assert only_run(tmp_path / "runs.db").info.status == "stopped"


def test_an_exception_within_the_callbacks_context_makes_a_failed_run(trainer, callback, tmp_path):
    def explode():
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"), callback:
        trainer(Classifier(explode)).train()
    info = only_run(tmp_path / "runs.db").info
    assert (info.status, info.error) == ("failed", "RuntimeError: out of luck")


def test_a_real_transformer_is_recorded(trainer, tmp_path):
    torch.manual_seed(0)
    config = transformers.GPT2Config(n_layer=2, n_head=2, n_embd=16, vocab_size=32, n_positions=16)
    model = transformers.GPT2LMHeadModel(config)
    made = trainer(model, num_train_epochs=1)
    tokens = torch.randint(0, 32, (16, 8), generator=torch.Generator().manual_seed(1))
    made.train_dataset = [{"input_ids": t, "labels": t} for t in tokens]
    made.train()
    run = only_run(tmp_path / "runs.db")
    names = run.layers()["name"].tolist()
    assert names[:3] == ["transformer.wte", "transformer.wpe", "transformer.h.0.attn.c_attn"]
    assert names[-1] == "lm_head"
    assert run.layer_stats(["gradient"])["rms"].gt(0).all()
