"""Trains a case as anybody would, watched by the real recorder, into a real store."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional

from benchmarks.labelled.cases import Case, Plant
from benchmarks.labelled.data import Task, task
from benchmarks.labelled.networks import NETWORKS
from gradscope.methods import build_methods
from gradscope.optimizers import build_optimizer
from gradscope.recorder.layers import find_layers
from gradscope.recorder.session import Session
from gradscope.records import Results, Status
from gradscope.schedules import learning_rate
from gradscope.store import Store, write

EVERY = 6
"""Steps between records."""


def train(case: Case, store: Store) -> int:
    """Train to the end, or until the loss is not finite; the run's number in the store."""
    config = case.config
    run_id = write.create_run(
        store,
        name=case.name,
        source="attached",
        config=config.model_dump(mode="json"),
        status=Status.RUNNING,
        tags=[case.fault, case.half],
    )
    session = Session(store, run_id)
    torch.manual_seed(config.train.seed)
    data = planted_data(task(case.data), case.plant, config.train.seed)
    methods = build_methods(config.methods)
    model = NETWORKS[case.network](config.model, data.shape, data.n_classes)
    for method in methods:
        model = method.adapt(model, torch.Generator().manual_seed(config.train.seed))
    plant_in(model, case.plant)
    optimizer = build_optimizer(config.optimizer, model.parameters())
    steps_per_epoch = -(-len(data.train[1]) // config.train.batch_size)
    session.progress(total_steps=steps_per_epoch * config.train.epochs)
    session.watch(model, optimizer, log="all", every=EVERY)
    scaler = GradScaler(
        "cpu", growth_interval=case.plant.growth_interval or 1, enabled=bool(case.plant.growth_interval)
    )
    step, correct = 0, 0
    broken: int | None = None
    for epoch in range(config.train.epochs):
        correct = 0
        for images, labels in _batches(data.train, config.train.batch_size, config.train.seed + epoch):
            rate = learning_rate(config, step, steps_per_epoch)
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.float16, enabled=scaler.is_enabled()):
                outputs = model(images)
                terms = terms_of(case.plant, outputs, labels)
                loss = torch.stack(list(terms.values())).sum()
            session.log(
                {"train_loss": loss.detach(), "learning_rate": rate}, step=step, epoch=(step + 1) / steps_per_epoch
            )
            broken = step if broken is None and not torch.isfinite(loss) else broken
            if len(terms) > 1:
                session.split_gradient(terms)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            for method in methods:
                method.before_step(model)
            scaler.step(optimizer)
            scaler.update()
            correct += int((outputs.detach().argmax(1) == labels).sum())
            step += 1
            if broken is not None and step > broken + EVERY:  # somebody has noticed
                session.finish(Status.DIVERGED)
                return run_id
        val_loss, val_accuracy = _validate(model, case.plant, data.val)
        values = {"train_accuracy": correct / len(data.train[1]), "val_loss": val_loss, "val_accuracy": val_accuracy}
        session.log(values, step=step - 1, epoch=epoch + 1)
    session.results(Results(val_accuracy=val_accuracy, val_loss=val_loss))
    session.finish()
    return run_id


@torch.no_grad()
def _validate(model: nn.Module, plant: Plant, split: tuple[Tensor, Tensor]) -> tuple[float, float]:
    model.eval()
    outputs = model(split[0])
    model.train()
    loss = LOSSES[plant.loss](OUTPUTS[plant.output](outputs), split[1])
    return float(loss), float((outputs.argmax(1) == split[1]).float().mean())


def _batches(split: tuple[Tensor, Tensor], size: int, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
    order = torch.randperm(len(split[1]), generator=torch.Generator().manual_seed(seed))
    for chosen in order.split(size):
        if len(chosen) > 1 or len(order) == 1:
            yield split[0][chosen], split[1][chosen]


OUTPUTS = {
    "logits": lambda z: z,
    "softmax": lambda z: z.softmax(1),
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
}
LOSSES = {
    "cross_entropy": functional.cross_entropy,
    "nll_of_logits": functional.nll_loss,
    "negated": lambda z, labels: -functional.cross_entropy(z, labels),
}


def terms_of(plant: Plant, outputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The loss, and what is added to it."""
    terms = {"label": LOSSES[plant.loss](OUTPUTS[plant.output](outputs), labels)}
    if plant.second_term is not None:
        terms[plant.second_term] = plant.term_weight * SECOND_TERMS[plant.second_term](outputs, labels)
    return terms


SECOND_TERMS = {
    "teacher": lambda z, labels: functional.cross_entropy(z, labels, label_smoothing=0.1),
    "penalty": lambda z, labels: z.square().mean(),
    "wrong_teacher": lambda z, labels: functional.cross_entropy(z, (labels + 1) % z.shape[1]),
}


def planted_data(data: Task, plant: Plant, seed: int) -> Task:
    """The task as the plant spoils it."""
    generator = torch.Generator().manual_seed(seed)
    x, y = data.train
    order = torch.randperm(len(y), generator=generator)[: plant.train_size]
    x, y = x[order] * plant.input_scale + plant.input_offset, y[order].clone()
    drawn = torch.rand(len(y), generator=generator) < plant.random_labels
    y[drawn] = torch.randint(data.n_classes, (int(drawn.sum()),), generator=generator)
    if plant.bad_row is not None:
        x[0, 0, 0, 0] = plant.bad_row
    val = (data.val[0] * plant.input_scale + plant.input_offset, data.val[1])
    return Task(train=(x, y), val=val, n_classes=data.n_classes)


def plant_in(model: nn.Module, plant: Plant) -> None:
    """The network as the plant spoils it, in place."""
    layers = [layer.module for layer in find_layers(model)]
    with torch.no_grad():
        for weight in (p for p in model.parameters() if p.dim() >= 2):
            weight.mul_(plant.weight_gain)
        for layer in layers[:-1] if plant.hidden_bias is not None else ():
            layer.bias.fill_(plant.hidden_bias)
    for layer in layers[: plant.frozen]:
        layer.requires_grad_(False)
    if plant.cut_before is not None:
        layers[plant.cut_before].register_forward_pre_hook(lambda _, inputs: tuple(i.detach() for i in inputs))
    if plant.log_of_relu:
        layers[-1].register_forward_pre_hook(lambda _, inputs: (torch.log(torch.relu(inputs[0])),))
