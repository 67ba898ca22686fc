"""Training with exits: their terms, weights, stages and turns, and what each exit gives to every layer's gradient."""

import math
import os
import signal

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from gradscope.config import Elastic, Mlp, MobileNet, Resnet, RunConfig, Torchvision, parse_config
from gradscope.data import MiniBatch
from gradscope.errors import ConfigError
from gradscope.methods import build_methods
from gradscope.methods.elastic import (
    ElasticMethod,
    drop_before_output,
    elastic,
    exit_losses,
    linear_weights,
    scheduled_weights,
)
from gradscope.methods.exit_scores import calibration_error, exit_scores
from gradscope.models import build_model
from gradscope.models.elastic import ElasticNetwork
from gradscope.records import Status
from gradscope.store import open_store, read, read_terms, write
from gradscope.train import train
from gradscope.trained import load_trained

DIGITS = (1, 8, 8)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def adapted(**settings: object) -> tuple[ElasticMethod, ElasticNetwork]:
    method = ElasticMethod(Elastic.model_validate(settings))
    model = method.adapt(build_model(Resnet(depth=8, width=4), DIGITS, 5, seed=0), seeded())
    assert isinstance(model, ElasticNetwork)
    return method, model


def batch(turn: int = 0) -> MiniBatch:
    places = torch.arange(6)
    return MiniBatch(images=torch.randn(6, *DIGITS, generator=seeded(1)), labels=places % 5, places=places, turn=turn)


def test_each_exit_is_a_term_and_the_answer_is_that_of_the_last() -> None:
    method, model = adapted()
    judged = method.objective(model.eval(), batch())
    logits = model.exits(batch().images)
    assert list(judged.terms) == ["exit 1", "exit 2", "exit 3"]
    for term, exit_ in zip(judged.terms.values(), logits, strict=True):
        torch.testing.assert_close(term, functional.cross_entropy(exit_, batch().labels))
    torch.testing.assert_close(judged.logits, logits[-1])


def test_weights_of_the_exits() -> None:
    assert linear_weights(4, 0.3) == [0.25, 0.5, 0.75, 1.0]
    assert scheduled_weights(4, 0.0) == [0.01, 0.01, 0.01, 1.0]
    assert scheduled_weights(4, 0.5) == pytest.approx([0.13, 0.255, 0.38, 1.0])
    method, model = adapted(weights="scheduled")
    method.at_epoch(model, 5, 10)
    plain = adapted()[0].objective(model.eval(), batch()).terms["exit 1"]
    expected = (0.01 + 0.5 * (1 / 3 - 0.01)) * plain
    torch.testing.assert_close(method.objective(model, batch()).terms["exit 1"], expected)


def test_learned_weights_are_the_uncertainties_of_kendall_and_train_with_the_network(store) -> None:
    run_id = trained(store, {"weights": "learned"}, epochs=3)
    learned = torch.load(store.paths(run_id).resume, weights_only=True)["methods"][0]["log_variances"]
    assert learned.abs().min() > 1e-3
    curves = read.metrics(store, [run_id], ["loss/weights", "loss/exit 1", "loss/exit 2", "loss/exit 3", "train_loss"])
    wide = curves.pivot(index="step", columns="name", values="value")
    parts = wide[["loss/exit 1", "loss/exit 2", "loss/exit 3", "loss/weights"]].sum(axis=1)
    assert parts.tolist() == pytest.approx(wide["train_loss"].tolist(), rel=1e-5)
    assert wide["loss/weights"].iloc[0] == 0
    assert wide["loss/weights"].iloc[-1] != 0


def test_self_distillation_is_the_formula() -> None:
    logits = [torch.randn(4, 3, generator=seeded(i), requires_grad=True) for i in range(2)]
    labels = torch.tensor([0, 2, 1, 0])
    early, last = exit_losses(logits, labels, distillation=0.3, temperature=2.0)
    p, q = (logits[1] / 2).softmax(1), (logits[0] / 2).softmax(1)
    divergence = sum(p[b, k] * (p[b, k] / q[b, k]).log() for b in range(4) for k in range(3)) / 4
    hard = -logits[0].log_softmax(1)[range(4), labels].mean()
    torch.testing.assert_close(early, 0.7 * hard + 0.3 * 4 * divergence)
    torch.testing.assert_close(last, functional.cross_entropy(logits[1], labels))
    (gradient,) = torch.autograd.grad(early, [logits[1]], allow_unused=True)
    assert gradient is None


def test_the_backbone_is_frozen_while_the_heads_begin() -> None:
    method, model = adapted(frozen_epochs=2)
    model.train()
    assert method.at_epoch(model, 1, 5) == "heads alone"
    free = {name for name, p in model.named_parameters() if p.requires_grad}
    assert free == {"backbone.output.1.weight", "backbone.output.1.bias"} | {
        f"heads.{i}.3.{what}" for i in (0, 1) for what in ("weight", "bias")
    }
    norm = model.backbone.get_submodule("norm")
    before = norm.running_mean.clone()
    method.objective(model, batch()).loss.backward()
    assert torch.equal(norm.running_mean, before)
    assert method.at_epoch(model, 2, 5) == "all layers"
    assert all(p.requires_grad for p in model.parameters())
    assert all(m.training for m in model.modules())
    assert adapted()[0].at_epoch(model, 0, 5) is None


def test_heads_begin_by_the_seed_and_the_backbone_as_without_exits() -> None:
    state = torch.get_rng_state()
    one, two = adapted()[1], adapted()[1]
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), two.parameters(), strict=True))
    plain = build_model(Resnet(depth=8, width=4), DIGITS, 5, seed=0).eval()
    torch.testing.assert_close(one.eval()(batch().images), plain(batch().images), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("settings", "name"),
    [(Resnet(depth=8), "output.0"), (MobileNet(width=0.1), "output.0"), (Mlp(depth=3), "output.0")],
    ids=lambda value: getattr(value, "name", value),
)
def test_the_last_exit_has_dropout_like_the_others(settings: Resnet, name: str) -> None:
    model = build_model(settings, DIGITS, 5)
    drop_before_output(model, 0.2)
    dropout = model.get_submodule(name)
    assert isinstance(dropout, nn.Dropout)
    assert dropout.p == 0.2
    drop_before_output(model, 0.2)
    assert len([m for m in model.modules() if isinstance(m, nn.Dropout)]) == 1


def test_a_network_that_has_dropout_keeps_its_own() -> None:
    with torch.device("meta"):
        model = build_model(Torchvision(architecture="vgg16_bn"), (3, 32, 32), 5)
    drop_before_output(model, 0.2)
    assert len([m for m in model.modules() if isinstance(m, nn.Dropout)]) == 1


def test_a_network_without_exits_says_so() -> None:
    with pytest.raises(ConfigError, match="Linear has no exits; train it with the method elastic"):
        elastic(nn.Linear(2, 2))
    with pytest.raises(ConfigError, match="does not know for what pictures Linear was built"):
        ElasticMethod(Elastic()).adapt(nn.Linear(2, 2), seeded())


def test_calibration_error_by_hand() -> None:
    def sure(p: float) -> list[float]:
        return [math.log(p), math.log(1 - p)]

    logits = torch.tensor([sure(0.9), sure(0.9), sure(0.6), sure(0.6)])
    # both at 0.9 right: gap 0.1; one of two at 0.6 right: gap -0.1
    assert calibration_error(logits, torch.tensor([0, 0, 0, 1])) == pytest.approx((2 * 0.1 + 2 * 0.1) / 4, abs=1e-6)
    # two answers of one bin, one too sure and one too modest, cancel
    assert calibration_error(torch.tensor([sure(0.51), sure(0.51)]), torch.tensor([0, 1])) == pytest.approx(
        0.01, abs=1e-6
    )
    scores = exit_scores(logits[None].repeat(2, 1, 1), torch.tensor([0, 0, 0, 1]))
    assert [score.accuracy for score in scores] == [0.75, 0.75]
    assert scores[0].loss == pytest.approx(-(2 * math.log(0.9) + math.log(0.6) + math.log(0.4)) / 4, rel=1e-6)


@pytest.fixture
def store(tmp_path):
    opened = open_store(tmp_path / "runs.db", create=True)
    yield opened
    opened.close()


def config(settings: dict[str, object], epochs: int) -> RunConfig:
    return parse_config(
        {
            "data": {"name": "digits", "limit": 240, "val_fraction": 0.2},
            "model": {"name": "resnet", "depth": 8, "width": 4},
            "methods": [{"name": "elastic", **settings}],
            "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
            "train": {"epochs": epochs, "batch_size": 50, "device": "cpu"},
            "record": {"every": 4},
        }
    )


def queued(store, settings: dict[str, object], epochs: int) -> int:
    values = config(settings, epochs).model_dump(mode="json")
    return write.create_run(store, name="exits", source="train", config=values, status=Status.RUNNING)


def trained(store, settings: dict[str, object], epochs: int = 2) -> int:
    run_id = queued(store, settings, epochs)
    assert train(store, run_id) is Status.COMPLETED
    return run_id


def test_the_exits_shares_add_up_to_the_whole_gradient_and_none_reaches_what_lies_behind_it(store) -> None:
    run_id = trained(store, {})
    found = read_terms.term_gradients(store, [run_id], step=4)
    assert found.groupby("layer")["share"].sum().tolist() == pytest.approx([1.0] * 10, abs=1e-9)
    shares = found.pivot(index="name", columns="term", values="share")
    names = shares.index
    deep = [name for name in names if name.startswith(("backbone.stages.2", "backbone.output"))]
    assert shares.loc[deep, ["exit 1", "exit 2"]].eq(0).all(axis=None)
    assert (shares.loc["backbone.conv"] != 0).all()
    assert shares.loc["heads.0.3", "exit 1"] == pytest.approx(1)
    angles = read_terms.term_cosines(store, [run_id], step=4)
    assert angles[angles["name"] == "backbone.conv"]["cosine"].abs().between(0, 1).sum() == 3


def test_the_gradient_is_the_sum_of_the_exits_own() -> None:
    """By hand: each exit's loss by itself, from the same weights."""
    method, model = adapted()
    weight = model.backbone.get_submodule("conv").get_parameter("weight")
    torch.manual_seed(0)
    terms = method.objective(model.eval(), batch()).terms
    parts = [torch.autograd.grad(term, weight, retain_graph=True)[0] for term in terms.values()]
    (whole,) = torch.autograd.grad(sum(terms.values(), torch.zeros(())), weight)
    torch.testing.assert_close(sum(parts, torch.zeros(())), whole)


def test_accuracy_loss_and_calibration_of_every_exit_are_logged_after_each_epoch(store) -> None:
    run_id = trained(store, {}, epochs=3)
    whats = ("accuracy", "loss", "calibration_error")
    names = [f"{split}_exit_{i}_{what}" for split in ("val", "test") for i in (1, 2, 3) for what in whats]
    curves = read.metrics(store, [run_id], [*names, "val_accuracy", "val_loss"])
    assert curves.groupby("name").size().to_dict() == {
        name: 1 if name.startswith("test") else 3 for name in [*names, "val_accuracy", "val_loss"]
    }
    values = curves.pivot(index="step", columns="name", values="value").ffill().iloc[-1]
    assert values["val_exit_3_accuracy"] == values["val_accuracy"]
    assert values["val_exit_3_loss"] == pytest.approx(values["val_loss"], rel=1e-5)
    assert read.run(store, run_id).results.test_accuracy == values["test_exit_3_accuracy"]
    loaded = load_trained(store, run_id, torch.device("cpu"))
    assert elastic(loaded.model).n_exits == 3
    images: Tensor = loaded.normalise(loaded.data.test.images)
    right = (loaded.model(images).argmax(1) == loaded.data.test.labels).double().mean()
    assert right == values["test_exit_3_accuracy"]


def test_in_turn_each_exit_takes_a_step_on_each_batch_and_a_resumed_run_goes_on_with_the_right_one(store) -> None:
    settings: dict[str, object] = {"updates": "in_turn"}
    whole, cut = trained(store, settings), queued(store, settings, 2)
    steps = 3 * 2 * 4  # exits, epochs, batches
    assert read.run(store, whole).progress.last_step == steps - 1
    assert read_terms.term_series(store, whole).empty
    sent = []

    def stop(progress) -> None:
        if progress.step >= 7 and not sent:
            sent.append(os.kill(os.getpid(), signal.SIGTERM))

    import gradscope.train as training

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "PROGRESS_SECONDS", 0.0)
        assert train(store, cut, on_progress=stop) is Status.STOPPED
    write.requeue(store, cut)
    assert train(store, cut) is Status.COMPLETED
    curves = read.metrics(store, [whole, cut], ["train_loss"]).pivot(index="step", columns="run", values="value")
    assert len(curves) == steps
    assert curves[whole].tolist() == curves[cut].tolist()


def test_a_turn_moves_its_own_head_and_not_the_others() -> None:
    method, model = adapted(updates="in_turn")
    assert method.turns == 3
    method.objective(model, batch(turn=1)).loss.backward()
    assert model.heads[0][3].weight.grad is None
    assert model.heads[1][3].weight.grad is not None
    assert model.backbone.get_submodule("stages.2.0.conv1").get_parameter("weight").grad is None


def test_exits_are_attached_before_gradients_are_changed() -> None:
    values = {"model": {"name": "resnet"}, "methods": [{"name": "clip_norm"}, {"name": "elastic"}]}
    assert [type(m).__name__ for m in build_methods(parse_config(values).methods)] == [
        "ElasticMethod",
        "ClipNormMethod",
    ]
