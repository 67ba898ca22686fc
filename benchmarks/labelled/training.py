"""Trains a case as anybody would, watched by the real recorder, into a real store."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.amp import GradScaler
from torch.nn import functional

from benchmarks.labelled import facts
from benchmarks.labelled.cases import Case, Plant
from benchmarks.labelled.data import Task, task
from benchmarks.labelled.networks import NETWORKS
from gradscope.methods import build_methods
from gradscope.methods.base import Method
from gradscope.optimizers import build_optimizer
from gradscope.recorder.layers import find_layers
from gradscope.recorder.session import Session
from gradscope.records import Status
from gradscope.schedules import learning_rate
from gradscope.store import Store, write

EVERY = 6
"""Steps between records."""

PROBES, PROBED = 40, 256
"""How often the loss is measured on the same pictures, and on how many."""


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A training that has ended."""

    run_id: int
    """In the store."""
    true: frozenset[str]
    """Findings that are true of its network, measured on its pictures without the recorder."""


def train(case: Case, store: Store) -> Trained:
    """Train to the end, or until the loss is not finite."""
    run_id = write.create_run(
        store,
        name=case.name,
        source="attached",
        config=case.config.model_dump(mode="json"),
        status=Status.RUNNING,
        tags=[case.fault, case.half],
    )
    session = Session(store, run_id)
    torch.manual_seed(case.config.train.seed)
    data = planted_data(task(case.data), case.plant, case.config.train.seed)
    loop = _Loop(case, data, session)
    true = _true_of(case, data, loop.model)
    for epoch in range(case.config.train.epochs):
        if not loop.epoch(epoch):
            break
    session.finish(Status.DIVERGED if loop.is_broken else Status.COMPLETED)
    overflows = {"amp_overflow"} if loop.skipped >= facts.SKIPPED * loop.step > 0 else set()
    swings = {"oscillating_loss"} if facts.swings(loop.probe.losses, loop.probe.ignorant) else set()
    return Trained(run_id=run_id, true=true | _true_of(case, data, loop.model) | overflows | swings)


def _network(case: Case, data: Task) -> tuple[nn.Module, list[Method]]:
    """As the case asks for, with what its methods and its plant make of it."""
    methods = build_methods(case.config.methods)
    model = NETWORKS[case.network](case.config.model, data.shape, data.n_classes)
    for method in methods:
        model = method.adapt(model, torch.Generator().manual_seed(case.config.train.seed))
    plant_in(model, case.plant)
    return model, methods


def _true_of(case: Case, data: Task, model: nn.Module) -> frozenset[str]:
    """Measured on a copy, without the hooks of the recorder; the random numbers of the training stay what they are."""
    with torch.random.fork_rng():
        copy, _ = _network(case, data)
    copy.load_state_dict(model.state_dict())
    return facts.look(copy, data.train[0], lambda z: _sum(terms_of(case.plant, z, data.train[1]))).names


def _sum(terms: dict[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()


class _Probe:
    """The loss on the same pictures again and again, free of the noise of the batches and without the recorder."""

    def __init__(self, case: Case, data: Task) -> None:
        self.case, self.ignorant = case, math.log(data.n_classes)
        self.images, self.labels = data.train[0][:PROBED], data.train[1][:PROBED]
        with torch.random.fork_rng():
            self.copy, _ = _network(case, data)
        self.losses: list[float] = []

    @torch.no_grad()
    def measure(self, model: nn.Module) -> None:
        """In training mode, so that batch norms do not lag behind."""
        self.copy.load_state_dict(model.state_dict())
        self.losses.append(float(_sum(terms_of(self.case.plant, self.copy(self.images), self.labels))))


class _Loop:
    """The state of a training."""

    def __init__(self, case: Case, data: Task, session: Session) -> None:
        self.case, self.config, self.data, self.session = case, case.config, data, session
        self.model, self.methods = _network(case, data)
        self.optimizer = build_optimizer(self.config.optimizer, self.model.parameters())
        self.steps_per_epoch = -(-len(data.train[1]) // self.config.train.batch_size)
        self.total_steps = self.steps_per_epoch * self.config.train.epochs
        session.progress(total_steps=self.total_steps)
        session.watch(self.model, self.optimizer, log="all", every=EVERY)
        growth = case.plant.growth_interval
        self.scaler = GradScaler("cpu", growth_interval=growth or 1, enabled=bool(growth))
        self.step, self.skipped = 0, 0
        self.probe, self.probe_every = _Probe(case, data), max(1, self.total_steps // PROBES)
        self.broken_at: int | None = None

    @property
    def is_broken(self) -> bool:
        """Whether the loss has been other than finite for so long that somebody has noticed."""
        return self.broken_at is not None and self.step > self.broken_at + EVERY

    def epoch(self, epoch: int) -> bool:
        """Train through all pictures once; False where it broke."""
        seed, correct = self.config.train.seed + epoch, 0
        for images, labels in _batches(self.data.train, self.config.train.batch_size, seed):
            correct += self._step(images, labels)
            if self.is_broken:
                return False
        val_loss, val_accuracy = _validate(self.model, self.case.plant, self.data.val)
        accuracy = correct / len(self.data.train[1])
        values = {"train_accuracy": accuracy, "val_loss": val_loss, "val_accuracy": val_accuracy}
        self.session.log(values, step=self.step - 1, epoch=epoch + 1)
        return True

    def _step(self, images: Tensor, labels: Tensor) -> int:
        """Of the optimiser; how many pictures were told right before it."""
        if self.step % self.probe_every == 0:
            self.probe.measure(self.model)
        rate = learning_rate(self.config, self.step, self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.float16, enabled=self.scaler.is_enabled()):
            outputs = self.model(images)
            terms = terms_of(self.case.plant, outputs, labels)
            loss = _sum(terms)
        values = {"train_loss": loss.detach(), "learning_rate": rate}
        self.session.log(values, step=self.step, epoch=(self.step + 1) / self.steps_per_epoch)
        if self.broken_at is None and not torch.isfinite(loss):
            self.broken_at = self.step
        if len(terms) > 1:
            self.session.split_gradient(terms)
        self._backward(loss)
        self.step += 1
        return int((outputs.detach().argmax(1) == labels).sum())

    def _backward(self, loss: Tensor) -> None:
        scale = self.scaler.get_scale()
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimizer)
        for method in self.methods:
            method.before_step(self.model)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.skipped += self.scaler.get_scale() < scale


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
