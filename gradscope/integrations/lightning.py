"""For Lightning: `Trainer(callbacks=[GradScopeCallback(name="my net")])`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.integrations.recording import Recording, any_process, ending, single_numbers
from gradscope.recorder.layers import Choice
from gradscope.recorder.session import Session
from gradscope.records import Status

try:
    import lightning.pytorch as pl
except ImportError as missing:
    raise ImportError("GradScopeCallback needs Lightning; install it by `pip install lightning`") from missing


@dataclass(kw_only=True, eq=False)
class GradScopeCallback(Recording, pl.Callback):
    """Makes a run of each `trainer.fit`.

    It records the gradients as the optimiser sees them (unscaled, clipped), every metric the module logs, and the
    hyper-parameters that it and its data module saved. With several optimisers each becomes a run of its own, with the
    layers whose weights it moves: they take steps of their own, and a generator is not the layers before a
    discriminator. The Stop button ends the training as early stopping does, so not before `min_epochs`.
    """

    _parts: "list[_Part]" = field(default_factory=list, init=False, repr=False)
    _logged: dict[str, Tensor] = field(default_factory=dict, init=False, repr=False)
    _epoch: float = field(default=0.0, init=False, repr=False)
    _stopped: bool = field(default=False, init=False, repr=False)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Begin the run."""
        self._logged, self._stopped, self._epoch = {}, False, float(trainer.current_epoch)
        config = {**_hparams(getattr(trainer, "datamodule", None)), **_hparams(pl_module)}
        shares = list(_shares(pl_module, trainer.optimizers, self.layers))
        for part, optimizer, layers in shares:
            session = self.begin(config, is_first=trainer.is_global_zero, part=part)
            step = trainer.global_step if len(shares) == 1 else 0
            total = trainer.estimated_stepping_batches
            if len(shares) == 1 and 0 < total < float("inf"):
                session.progress(total_steps=int(total))
            self.observe(session, pl_module, optimizer, step=step, layers=layers)
            self._parts.append(_Part(session, optimizer, step))

    # Any: Lightning hands on whatever the module's training_step returned and was given
    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Note what was logged, if the batch led to a step, and hear the Stop button."""
        batches = trainer.num_training_batches
        self._epoch = trainer.current_epoch + (batch_idx + 1) / batches if batches else trainer.current_epoch
        if any([part.has_moved() for part in self._parts]):
            self._log(trainer.callback_metrics)
        if any_process(any(part.session.stop_requested for part in self._parts), batch_idx):
            self._stopped = trainer.should_stop = True

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note the validation's metrics."""
        self._log(trainer.callback_metrics)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Note what was averaged over the epoch."""
        self._log(trainer.callback_metrics)

    def _log(self, metrics: Mapping[str, Tensor]) -> None:
        # Lightning goes on handing out old values beside new ones; the old are the same objects
        new = {name: value for name, value in metrics.items() if value is not self._logged.get(name)}
        self._logged |= new
        for part in self._parts:
            part.session.log(single_numbers(new), step=part.last_step, epoch=self._epoch)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """End the run."""
        self._finish(Status.STOPPED if self._stopped else Status.COMPLETED)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """End the run: stopped if somebody interrupted it, otherwise failed."""
        self._finish(*ending(exception))

    def _finish(self, status: Status, cause: str | None = None) -> None:
        for part in self._parts:
            part.finish(status, cause)
        self._parts.clear()


class _Part:
    """An optimiser and the run it is recorded in."""

    def __init__(self, session: Session, optimizer: Optimizer, step: int) -> None:
        self.session = session
        self._steps = self._noticed = step
        self._handle = optimizer.register_step_post_hook(self._count)

    def _count(self, *_: object) -> None:
        self._steps += 1

    @property
    def last_step(self) -> int:
        """The step just done."""
        return max(self._steps - 1, 0)

    def has_moved(self) -> bool:
        """Whether there was a step since this was asked the last time."""
        moved = self._steps > self._noticed
        self._noticed = self._steps
        return moved

    def finish(self, status: Status, cause: str | None) -> None:
        self._handle.remove()
        self.session.finish(status, error=cause)


# Any: settings are of any type
def _hparams(owner: object) -> dict[str, Any]:
    """What `save_hyperparameters` saved; a data module without any says so by an empty mapping."""
    return dict(getattr(owner, "hparams", {}))


def _shares(
    module: pl.LightningModule, optimizers: list[Optimizer], choice: Choice
) -> Iterator[tuple[str, Optimizer, Choice]]:
    """(name of the part, optimiser, its layers) for each optimiser that moves a layer; a single one has them all."""
    if len(optimizers) == 1:
        yield "", optimizers[0], choice
        return
    for optimizer in optimizers:
        mine = {id(p) for group in optimizer.param_groups for p in group["params"] if p.dim() >= 2}
        children = [n for n, c in module.named_children() if any(id(p) in mine for p in c.parameters())]
        if mine:
            yield "+".join(children) or type(optimizer).__name__, optimizer, _moved(mine, choice)


def _moved(weights: set[int], choice: Choice) -> Choice:
    """Of the layers of `choice` those that own one of the weights, given by their identities."""

    def chooses(name: str, layer: nn.Module) -> bool:
        if not any(id(p) in weights for p in layer.parameters(recurse=False)):
            return False
        if choice is None:
            return True
        return choice(name, layer) if callable(choice) else re.search(choice, name) is not None

    return chooses
