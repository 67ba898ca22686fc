"""For PyTorch Ignite: `GradScopeHandler(name="my net").attach(trainer, model, optimizer, {"val": evaluator})`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import nn
from torch.optim import Optimizer

from gradscope.integrations.recording import Recording, any_process, ending, single_numbers
from gradscope.recorder.session import Session
from gradscope.records import Status

try:
    import ignite.distributed as idist
    from ignite.engine import Engine, Events
except ImportError as missing:
    raise ImportError("GradScopeHandler needs PyTorch Ignite; install it by `pip install pytorch-ignite`") from missing


@dataclass(kw_only=True, eq=False)
class GradScopeHandler(Recording):
    """Makes a run of each `trainer.run(...)`.

    It records the gradients as the optimiser sees them, the trainer's output after every iteration (`train_loss`, or
    `train_<name>` of a mapping), its metrics after every epoch (`train_<name>`), and those of each evaluator when it is
    done (`<evaluator>_<name>`). An iteration is taken to be a step; of an optimiser that moves every so many iterations
    the curves are still those of the iterations.
    """

    output_transform: Callable[[Any], Any] = lambda output: output  # Any: whatever the user's update function returns
    """From the trainer's output to a number, or to a mapping of names to numbers."""
    _session: Session | None = field(default=None, init=False, repr=False)
    _stopped: bool = field(default=False, init=False, repr=False)

    def attach(
        self,
        trainer: Engine,
        model: nn.Module,
        optimizer: Optimizer,
        evaluators: Mapping[str, Engine] | None = None,
    ) -> "GradScopeHandler":
        """Attach to a trainer, after its metrics, so that they are there to be read, and after handlers of exceptions.

        Args:
            trainer: the engine that trains.
            model: the network.
            optimizer: that moves it.
            evaluators: engines by the name their curves are to begin with, such as `val`.
        """
        trainer.add_event_handler(Events.STARTED, self._begin, model, optimizer)
        trainer.add_event_handler(Events.ITERATION_COMPLETED, self._note_output)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, self._note_metrics, trainer, "train")
        for name, evaluator in (evaluators or {}).items():
            evaluator.add_event_handler(Events.COMPLETED, self._note_metrics, trainer, name)
        trainer.add_event_handler(Events.COMPLETED, self._end)
        trainer.add_event_handler(Events.EXCEPTION_RAISED, self._fail)
        return self

    def _begin(self, trainer: Engine, model: nn.Module, optimizer: Optimizer) -> None:
        self._stopped = False
        found = {"max_epochs": trainer.state.max_epochs, "epoch_length": trainer.state.epoch_length}
        session = self._session = self.begin(found, is_first=idist.get_rank() == 0)
        if trainer.state.max_epochs and trainer.state.epoch_length:
            session.progress(total_steps=trainer.state.max_epochs * trainer.state.epoch_length)
        self.observe(session, model, optimizer, step=trainer.state.iteration)

    def _note_output(self, trainer: Engine) -> None:
        output = self.output_transform(trainer.state.output)
        self._log(trainer, "train", output if isinstance(output, Mapping) else {"loss": output})
        if any_process(self._session is not None and self._session.stop_requested, trainer.state.iteration):
            self._stopped = True
            trainer.terminate()

    def _note_metrics(self, engine: Engine, trainer: Engine, prefix: str) -> None:
        self._log(trainer, prefix, engine.state.metrics)

    def _log(self, trainer: Engine, prefix: str, values: Mapping[str, Any]) -> None:  # Any: metrics are of any type
        if self._session is None:
            return
        named = {n if n.startswith(f"{prefix}_") else f"{prefix}_{n}": v for n, v in single_numbers(values).items()}
        length = trainer.state.epoch_length
        epoch = trainer.state.iteration / length if length else None
        self._session.log(named, step=max(trainer.state.iteration - 1, 0), epoch=epoch)

    def _end(self, trainer: Engine) -> None:
        self._finish(Status.STOPPED if self._stopped else Status.COMPLETED)

    def _fail(self, trainer: Engine, error: BaseException) -> None:
        self._finish(*ending(error))
        # Ignite leaves it to the handlers of this event to raise the exception again
        raise error

    def _finish(self, status: Status, cause: str | None = None) -> None:
        if self._session is not None:
            self._session.finish(status, error=cause)
            self._session = None
