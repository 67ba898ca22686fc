"""For the Trainer of Hugging Face Transformers: `Trainer(..., callbacks=[GradScopeCallback(name="my net")])`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from torch import nn
from torch.optim import Optimizer

from gradscope.integrations.recording import Recording, any_process, ending, single_numbers
from gradscope.recorder.session import Session
from gradscope.records import Status

try:
    from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
except ImportError as missing:
    raise ImportError("GradScopeCallback needs Transformers; install it by `pip install transformers`") from missing


@dataclass(kw_only=True, eq=False)
class GradScopeCallback(Recording, TrainerCallback):
    """Makes a run of each `trainer.train()`.

    It records the gradients as the optimiser sees them (unscaled, clipped, accumulated), what the Trainer logs, and the
    training arguments. `loss` becomes `train_loss` and `eval_...` becomes `val_...`, as the pages call them; the
    summary at the end (`train_runtime` and so on) makes no curve and is left out.

    The Trainer does not tell its callbacks of an exception: a script that dies of one leaves a failed run, but where
    Python lives on, as in a notebook, the run looks alive. There use the callback as a context manager:

        with GradScopeCallback(name="my net") as callback:
            Trainer(..., callbacks=[callback]).train()
    """

    _session: Session | None = field(default=None, init=False, repr=False)
    _stopped: bool = field(default=False, init=False, repr=False)

    # Any: every callback is handed everything the Trainer has
    def on_train_begin(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        model: nn.Module | None = None,
        optimizer: Optimizer | None = None,
        **_: Any,
    ) -> None:
        """Begin the run."""
        if self._session is not None:  # such as a smaller batch after the memory did not suffice
            self._finish(Status.FAILED, "the training began anew")
        self._stopped = False
        found = args.to_dict()  # type: ignore[no-untyped-call]
        session = self._session = self.begin(found, is_first=state.is_world_process_zero)
        if state.max_steps > 0:
            session.progress(total_steps=state.max_steps)
        if model is not None and optimizer is not None:
            self.observe(session, model, _bare(optimizer), step=state.global_step)

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Note what the Trainer logs."""
        if self._session is not None:
            curves = {name: value for key, value in (logs or {}).items() if (name := _curve(key)) is not None}
            self._session.log(single_numbers(curves), step=max(state.global_step - 1, 0), epoch=state.epoch)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Hear the Stop button."""
        if any_process(self._session is not None and self._session.stop_requested, state.global_step):
            self._stopped = control.should_training_stop = True

    def on_train_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """End the run."""
        self._finish(Status.STOPPED if self._stopped else Status.COMPLETED)

    def _finish(self, status: Status, cause: str | None = None) -> None:
        if self._session is not None:
            self._session.finish(status, error=cause)
            self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._finish(*ending(error))


def _bare(optimizer: Optimizer) -> Optimizer:
    """The optimiser within Accelerate's wrapper, whose own step() may be skipped and calls no hooks."""
    inner = getattr(optimizer, "optimizer", None)
    return _bare(inner) if isinstance(inner, Optimizer) else optimizer


def _curve(key: str) -> str | None:
    """What the pages call a value that the Trainer logs; None if it is not a curve."""
    if key in ("epoch", "total_flos") or key.startswith("train_"):
        return None
    return "train_loss" if key == "loss" else key.replace("eval_", "val_", 1) if key.startswith("eval_") else key
