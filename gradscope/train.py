"""Training a run of the store to its end: the loop, and what stands around it."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope import checkpoint, first_batch
from gradscope.alarm import guard
from gradscope.checkpoint import About, Position
from gradscope.config import RunConfig, parse_config
from gradscope.data import (
    Dataset,
    MiniBatch,
    Split,
    Transform,
    augmenter,
    epoch_generator,
    load,
    minibatches,
    normaliser,
)
from gradscope.evaluate.scores import scored
from gradscope.graphed import GraphedPasses
from gradscope.labelling import labelling_of
from gradscope.methods import Given, Judged, Method, Objective, build_methods, objective_of, plain_objective
from gradscope.models import build_model
from gradscope.optimizers import build_optimizer
from gradscope.paths import RunPaths
from gradscope.process import cause_of, pick_device, stopped_by_signals
from gradscope.progress import OnProgress, TrainProgress
from gradscope.recorder.nonfinite import locate_nonfinite
from gradscope.recorder.provenance import provenance
from gradscope.recorder.session import Session
from gradscope.records import Results, Status
from gradscope.schedules import learning_rate
from gradscope.store import Store, read, write
from gradscope.teachers import load_teacher

PROGRESS_SECONDS = 0.2


def train(store: Store, run_id: int, *, on_progress: OnProgress | None = None) -> Status:
    """Train a run to its end, from its checkpoint if it has one.

    Returns:
        completed, stopped (somebody asked, or SIGTERM or SIGINT came: a checkpoint was written) or diverged.

    Raises:
        Exception: whatever went wrong, after the run was marked as failed with the cause.
    """
    config = parse_config(read.run(store, run_id).config)
    run = Session.attach(store, run_id)
    guard(run, config.alerts)
    try:
        with stopped_by_signals(run.request_stop):
            status = Training(config, run, store, on_progress or (lambda _: None)).to_the_end()
    except _StoppedWhileLoading:
        status = Status.STOPPED
    except BaseException as error:
        run.finish(Status.FAILED, error=cause_of(error))
        raise
    run.finish(status)
    return status


class _StoppedWhileLoading(Exception):
    """Breaks off a download or the decoding of pictures; there is nothing yet to write a checkpoint of."""


class Training:
    """One run at work."""

    def __init__(self, config: RunConfig, run: Session, store: Store, on_progress: OnProgress) -> None:
        self.config, self.run, self.store, self.on_progress = config, run, store, on_progress
        self.paths: RunPaths = store.paths(run.id)
        self.device = pick_device(config.train.device)
        self.loss: float | None = None
        self.labelling = labelling_of(config.data)
        self.val_score: float | None = None
        self.best: float | None = None
        self.speed: float | None = None
        self._located, self._stage = False, "training"
        self._graphed: GraphedPasses | None = None
        self.step = self.total_steps = 0
        self.steps_per_epoch = 1
        self._seen, self._right = 0, torch.zeros((), dtype=torch.int64, device=self.device)
        self._last_told = time.perf_counter(), self.step
        self._tell("loading data")
        self._make()
        write.start(
            store,
            run.id,
            provenance=provenance(self.device, seed=config.train.seed, data_fingerprint=self.data.fingerprint),
            n_parameters=sum(p.numel() for p in self.model.parameters()),
            total_steps=self.total_steps,
        )
        self._resume(store)
        self._last_told = (time.perf_counter(), self.step)

    def _make(self) -> None:
        """The data, the model and its optimiser, as the settings say."""
        config = self.config
        self.data: Dataset = load(config.data, seed=config.train.seed, progress=self._tell_loaded).to(self.device)
        self.normalise: Transform = normaliser(config.data, self.data)
        self.methods: list[Method] = build_methods(config.methods)
        self.plain = plain_objective(self.labelling)
        self.objective: Objective = objective_of(self.methods, self.plain)
        self.model: nn.Module = self._model()
        self.turns = math.prod(method.turns for method in self.methods)
        self.steps_per_epoch = self.turns * math.ceil(len(self.data.train.labels) / config.train.batch_size)
        self.total_steps = self.steps_per_epoch * config.train.epochs
        self._prepare_methods()
        self.optimizer: Optimizer = build_optimizer(config.optimizer, self.model.parameters())
        for method in self.methods:
            for group in method.parameter_groups():
                self.optimizer.add_param_group(group)

    def _model(self) -> nn.Module:
        generator = torch.Generator().manual_seed(self.config.train.seed)
        torch.manual_seed(self.config.train.seed)  # PyTorch's own initialisation draws from the global state
        model = build_model(self.config.model, in_shape=self.data.shape, n_classes=len(self.data.classes))
        for method in self.methods:
            model = method.adapt(model, generator)
        model = model.to(self.device)
        return model.to(memory_format=torch.channels_last) if self.mixed else model

    def _prepare_methods(self) -> None:
        given = Given(
            model=self.model,
            config=self.config,
            data=self.data,
            normalise=lambda images: self._laid_out(self.normalise(images)),
            device=self.device,
            generator=torch.Generator().manual_seed(self.config.train.seed),
            teacher=lambda settings: load_teacher(self.store, settings, self.config, self.data).to(self.device),
            rate=lambda: learning_rate(self.config, self.step, self.steps_per_epoch),
            tell=self._tell,
        )
        for method in self.methods:
            method.prepare(given)

    @property
    def mixed(self) -> bool:
        """Whether the passes run in bfloat16, with channels last in memory."""
        return self.config.train.mixed_precision and self.device.type == "cuda"

    def _resume(self, store: Store) -> None:
        """Go back to the checkpoint, if there is one."""
        if not checkpoint.exists(self.paths):
            write.rewind(store, self.run.id, -1)  # of an earlier life that left records and no checkpoint
            return
        at = checkpoint.load(self.paths, self.model, self.optimizer, self.methods)
        self.step, self.best = at.step, at.best_val_score
        self._seen, self._right = at.seen, self._right + at.right
        self.run.resumed(at.seconds)
        write.rewind(store, self.run.id, at.step - 1)

    def watch(self) -> None:
        """Let the recorder see the model and the optimiser."""
        record = self.config.record
        self.run.watch(
            *(self.model, self.optimizer),
            every=record.every,
            budget=record.budget,
            log=record.log,
            layers=record.layers,
            step=self.step,
        )

    def to_the_end(self) -> Status:
        """Every epoch, each with its validation and checkpoint, then the test."""
        self.watch()
        for epoch in range(self.step // self.steps_per_epoch, self.config.train.epochs):
            status = self.epoch(epoch)
            if status is None:
                self._validate()
                status = self._stopped_between_epochs()
            if status is not None:
                self._save()
                return status
            self._save_if_due(epoch + 1)
        self._test()
        return Status.COMPLETED

    def epoch(self, epoch: int) -> Status | None:
        """The loop. Returns why the run ends within this epoch, or None."""
        self._begin_epoch(epoch)
        for batch in islice(self._batches(epoch), self.step % self.steps_per_epoch, None):
            if self.step == 0:
                first_batch.keep(self.paths, batch, len(self.data.classes))
            rate = self._set_learning_rate()
            judged = self._passes(batch)
            if judged is None:
                return Status.DIVERGED
            for method in self.methods:
                method.before_step(self.model)
            self.optimizer.step()
            self._note(judged, batch.labels, rate)
            self.step += 1
            self._tell_sometimes(judged.loss)
            if self.run.stop_requested and self.step % self.steps_per_epoch:
                return Status.STOPPED
        self._log({f"train_{self.labelling.right_name}": self._right / self._seen}, at=self.step - 1)
        return None

    def _passes(self, batch: MiniBatch) -> Judged | None:
        """Forward and backward pass; None where the loss is not finite and the run ends for it."""
        if self._graphed and not self.run.is_due and len(batch) == self.config.train.batch_size:
            judged = self._graphed(batch)
            return None if self._diverged(judged.loss, batch.images) else judged
        self.optimizer.zero_grad(set_to_none=True)
        with self._autocast():
            for method in self.methods:
                method.before_pass(self.model, batch)
            judged = self.objective(self.model, batch)
        if self._diverged(judged.loss, batch.images):
            return None
        self.run.split_gradient(judged.terms)
        judged.loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        return judged

    def _autocast(self, *, cache: bool = True) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.mixed, cache_enabled=cache)

    def _graph(self) -> GraphedPasses | None:
        """Passes to be captured anew, where they are to be and every step of an epoch does the same."""
        changing = any(type(m).before_pass is not Method.before_pass for m in self.methods)
        if not self.config.train.cuda_graph or self.device.type != "cuda" or changing:
            return None
        if self.objective is not self.plain:  # a method's own may do something else in every step
            return None
        return GraphedPasses(self.model, self.objective, lambda: self._autocast(cache=False))

    def _begin_epoch(self, epoch: int) -> None:
        stages = [method.at_epoch(self.model, epoch, self.config.train.epochs) for method in self.methods]
        self._graphed = self._graph()  # an epoch may have switched something on or off
        self._stage = ", ".join(["training", *(stage for stage in stages if stage)])
        if self.step % self.steps_per_epoch == 0:  # and not in the midst of the epoch, where a checkpoint left off
            self._seen, self._right = 0, torch.zeros_like(self._right)

    def _set_learning_rate(self) -> float:
        rate = learning_rate(self.config, self.step, self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _note(self, judged: Judged, labels: Tensor, rate: float) -> None:
        """The curves of a step."""
        parts = judged.terms if len(judged.terms) > 1 else {}
        terms = {f"loss/{name}": term.detach() for name, term in parts.items()}
        self._log({"train_loss": judged.loss.detach(), "learning_rate": rate, **terms})
        self._seen, self._right = (
            self._seen + len(labels),
            self._right + self.labelling.right(judged.logits, labels).sum(),
        )

    def _stopped_between_epochs(self) -> Status | None:
        """A whole epoch is validated before the run obeys, and after the last one only the test is left to do."""
        return Status.STOPPED if self.run.stop_requested and self.step < self.total_steps else None

    def _batches(self, epoch: int) -> Iterator[MiniBatch]:
        """The epoch's batches; drawn from (seed, epoch) alone, so that a resumed run sees the same ones."""
        generator = epoch_generator(self.config.train.seed, epoch)
        augment = augmenter(self.config.data, generator)
        found = minibatches(
            self.data.train,
            self.config.train.batch_size,
            generator=generator,
            transform=lambda images: self._laid_out(self.normalise(augment(images))),
        )
        return (replace(batch, turn=turn) for batch in found for turn in range(self.turns))

    def _laid_out(self, images: Tensor) -> Tensor:
        return images.contiguous(memory_format=torch.channels_last) if self.mixed else images

    def _diverged(self, loss: Tensor, images: Tensor) -> bool:
        """Whether the run has to end because its loss is not finite; notes where that began."""
        if self.device.type != "cpu":
            # to read a value makes a GPU wait: the recorder's thread reads them, a little later
            finite = self.run.nonfinite is None
        elif not (finite := bool(torch.isfinite(loss.detach()))) and not self._located:
            self.run.note_nonfinite(locate_nonfinite(self.model, images, step=self.step))
            self._located = True
        if finite or self.config.train.on_nonfinite == "continue":
            return False
        self._log({"train_loss": loss.detach()})
        return True

    def _validate(self) -> None:
        self._tell("evaluating")
        (loss, value), name = self._evaluate(self.data.val, "val"), self.labelling.score
        self.val_score, self.best = value, max(value, self.best or 0.0)
        self._log({"val_loss": loss, f"val_{name}": value}, at=self.step - 1)
        self.run.results(Results(val_loss=loss, **{f"val_{name}": value, f"best_val_{name}": self.best}))

    def _test(self) -> None:
        self._tell("evaluating")
        loss, value = self._evaluate(self.data.test, "test")
        self.run.results(Results(test_loss=loss, **{f"test_{self.labelling.score}": value}))
        self._tell("done")

    def _evaluate(self, split: Split, name: str) -> tuple[float, float]:
        def transform(images: Tensor) -> Tensor:
            return self._laid_out(self.normalise(images))

        with self._autocast():
            for method in self.methods:
                found = method.measured(self.model, split, transform)
                self._log({f"{name}_{what}": value for what, value in found.items()}, at=self.step - 1)
            return scored(self.config.data, self.model, split, transform)

    def _save_if_due(self, epochs_done: int) -> None:
        every = self.config.train.checkpoint_every
        if epochs_done == self.config.train.epochs or (every and epochs_done % every == 0):
            self._save()

    def _save(self) -> None:
        position = Position(
            step=self.step,
            seconds=self.run.seconds,
            best_val_score=self.best,
            seen=self._seen,
            right=int(self._right),
        )
        about = About(
            model=self.config.model.model_dump(mode="json"),
            methods=tuple(method.model_dump(mode="json") for method in self.config.methods),
            normalise=self.config.data.normalise,
            shape=self.data.shape,
            classes=self.data.classes,
        )
        checkpoint.save(self.paths, self.model, self.optimizer, position, self.methods, about)

    def _log(self, values: dict[str, float | Tensor], at: int | None = None) -> None:
        step = self.step if at is None else at
        self.run.log(values, step=step, epoch=(step + 1) / self.steps_per_epoch)

    def _tell_loaded(self, done: int, total: int) -> None:
        if self.run.stop_requested:
            raise _StoppedWhileLoading
        if time.perf_counter() - self._last_told[0] >= PROGRESS_SECONDS:
            self._last_told = time.perf_counter(), self.step
            self._tell(f"loading data, {done / total:.0%}" if total else "loading data")

    def _tell_sometimes(self, loss: Tensor) -> None:
        then, step = self._last_told
        now = time.perf_counter()
        if now - then >= PROGRESS_SECONDS:
            latest = (self.step - step) * self.config.train.batch_size / (now - then)
            self.speed = latest if self.speed is None else 0.7 * self.speed + 0.3 * latest
            self._last_told = now, self.step
            value = float(loss.detach())
            self.loss = value if math.isfinite(value) else None
            self._tell(self._stage)

    def _tell(self, phase: str) -> None:
        epoch = self.step / self.steps_per_epoch
        known = epoch if self.total_steps else None  # before the checkpoint is read, the store knows better
        self.run.progress(epoch=known, total_steps=self.total_steps or None, samples_per_second=self.speed, phase=phase)
        self.on_progress(
            TrainProgress(
                step=self.step,
                total_steps=self.total_steps,
                epoch=epoch,
                epochs=self.config.train.epochs,
                loss=self.loss,
                val_score=self.val_score,
                score=self.labelling.score,
                samples_per_second=self.speed,
                seconds_left=self._seconds_left(),
                phase=phase,
            )
        )

    def _seconds_left(self) -> float | None:
        """From the average over all steps so far, evaluations included."""
        if not self.step or not self.total_steps:
            return None
        return self.run.seconds / self.step * (self.total_steps - self.step)
