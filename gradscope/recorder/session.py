"""A run as the code that trains sees it: `init` makes it known to a store, and what is said to it is written there."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from sqlalchemy.exc import SQLAlchemyError
from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.config.train import BUDGET
from gradscope.errors import RecorderError, StoreError
from gradscope.recorder.ending import AtEnd, ending_of
from gradscope.recorder.layers import Choice, unwrapped
from gradscope.recorder.measure import compiled
from gradscope.recorder.provenance import provenance
from gradscope.recorder.record import Record
from gradscope.recorder.schedule import Every, timetable
from gradscope.recorder.values import Number, number
from gradscope.recorder.watch import Log, Receiver, Watch
from gradscope.recorder.writer import PATIENCE_SECONDS, Account, Errand, Writer
from gradscope.records import Batch, Layer, Metric, NonFinite, Progress, Results, Status
from gradscope.store import Store, write

_LOSSES = ("loss", "train_loss")

_log = logging.getLogger("gradscope")


class Session:
    """A run in progress. Make one by `gradscope.init`; use it as a context manager, or call `finish`.

    Nothing here waits for the store, and no trouble with the store ever stops the training.
    """

    def __init__(self, store: Store, run_id: int, *, attached: bool = True) -> None:
        self.id = run_id
        """Number of the run in its store."""
        self._store = store
        self._attached = attached
        self._began = time.monotonic()
        self._watch: Watch | None = None
        self._past = Account()
        self._progress = Progress(last_step=-1)
        self._calls = 0
        self._at: int | None = None
        """The watched optimiser's step when it was last unwatched; None if there never was one."""
        self._logs_ahead: bool | None = None
        self._nonfinite: NonFinite | None = None
        self._stop = self._finished = False
        self._why_stopped: str | None = None
        self._before_end: list[Callable[[], None]] = []
        self._writer = Writer(store, run_id, self._progress_now, self._account)
        self._at_end = AtEnd(self, take_signals=attached)

    @classmethod
    def attach(cls, store: Store, run_id: int) -> "Session":
        """Record into a run that is in the store already; its start, settings and signals are somebody else's care."""
        compiled()  # a training follows: the kernel is loaded beside the data, and not beside the first steps
        return cls(store, run_id, attached=False)

    @property
    def seconds(self) -> float:
        """Since the run began, over all the times it was started."""
        return time.monotonic() - self._began

    def resumed(self, seconds: float) -> None:
        """The training goes on that was at work for so long before: times count on from there."""
        self._began = time.monotonic() - seconds

    def _progress_now(self) -> Progress:
        return replace(self._progress, seconds=self.seconds)

    @property
    def recorder_seconds(self) -> float:
        """Time the training thread has spent on recording."""
        return self._account().recorder_seconds

    @property
    def step(self) -> int:
        """Number of the step in progress, from 0: of the optimiser that is watched, so many steps are done.

        It goes on from the `step` given to `watch`, does not count what gradient scaling skipped, and stays where it is
        after `unwatch`. Where nothing was ever watched, it is the number of calls of `log`.
        """
        return self._calls if self._at is None else self._watch.step if self._watch else self._at

    def _account(self) -> Account:
        past, watch = self._past, self._watch
        if watch is None:
            return past
        return Account(
            recorder_seconds=past.recorder_seconds + watch.timer.seconds,
            watched_seconds=past.watched_seconds + watch.timer.elapsed,
            pace=watch.pace,
        )

    @property
    def store(self) -> Store | None:
        """Where the run is recorded; None where nothing is."""
        return self._store

    def flush(self, seconds: float = PATIENCE_SECONDS) -> bool:
        """Wait until everything so far is in the store, at most so long; whether it is."""
        return self._finished or self._writer.flush(seconds)

    def before_end(self, call: Callable[[], None]) -> None:
        """Something to be done when the run ends, before its last records are written; it must not raise."""
        self._before_end.append(call)

    @property
    def lost_rows(self) -> int:
        """Rows that the store could not take."""
        return self._writer.lost_rows

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked the run to stop; a loop that wants to obey looks here after each step."""
        return self._stop or self._writer.stop_requested

    def request_stop(self, why: str | None = None) -> None:
        """Ask the loop to stop, as the Stop button of the dashboard does; the run tells why, if a reason is given."""
        self._why_stopped = self._why_stopped or why
        self._stop = True

    @property
    def nonfinite(self) -> NonFinite | None:
        """Where the first value that is not finite arose, as far as known: up to a second behind the training."""
        return self._nonfinite

    def note_nonfinite(self, where: NonFinite) -> None:
        """Keep the earliest such place; one that names the layer takes the place of one that does not."""
        known = self._nonfinite
        if known is None or where.step < known.step or (_is_vague(known, where) and where.layer is not None):
            self._nonfinite = where

    def watch(
        self,
        model: nn.Module,
        optimizer: Optimizer | None = None,
        *,
        every: Every = 10,
        log: Log = "gradients",
        layers: Choice = None,
        step: int = 0,
        budget: float = BUDGET,
    ) -> None:
        """Record the layers of a model while it trains.

        Args:
            model: the network, also inside torch.compile, DataParallel or DistributedDataParallel.
            optimizer: its step() is what counts the steps; without one call `record_step` in its place.
            every: steps between records after a dense start (0, 1, 2, 4, 8, ...); "auto" for as many as the budget
                allows; the steps themselves; or a function from a step to whether it is due.
            log: "gradients" (dL/dW as the optimiser sees it), or "all": also signals, activations, weights and updates.
            layers: a regular expression searched for in the layers' names, a predicate of name and module, or all.
            step: number of the coming step; above 0 for a training that goes on.
            budget: with every="auto", the share in 0..1 of the training time that recording may take.

        Raises:
            RecorderError: the model has no layer, the run watches a model already, or has ended; `every` or `budget`
                is none.
        """
        self._must_be_open()
        if self._watch is not None:
            raise RecorderError(
                "this run watches a model already; call unwatch() first, or watch both in an nn.ModuleList"
            )
        receiver = Receiver(layers=self._take_layers, record=self._take_record, skip=self._writer.put)
        schedule = timetable(every, budget)
        self._watch = Watch(model, optimizer, schedule=schedule, log=log, choice=layers, step=step, receiver=receiver)
        self._at = step
        if self._attached:
            self._describe(model)

    def _describe(self, model: nn.Module) -> None:
        """Add to the run's row what could not be known before there was a model."""
        parameters = list(unwrapped(model).parameters())
        where = provenance(parameters[0].device)
        size, total_steps = sum(p.numel() for p in parameters), self._progress.total_steps
        self._errand(
            lambda: write.start(self._store, self.id, provenance=where, n_parameters=size, total_steps=total_steps)
        )

    def unwatch(self) -> None:
        """Leave the model and the optimiser as they were; nothing happens if none is watched."""
        if self._watch is not None:
            self._watch.remove()
            self._at, self._past, self._watch = self._watch.step, self._account(), None

    def recording(self) -> AbstractContextManager[None]:
        """Inside, record the forward and backward pass whatever the schedule says, without a step of the optimiser."""
        return self._watched("recording()").recording()

    def capturing(self) -> AbstractContextManager[None]:
        """Inside, capture a CUDA graph of a training step, or of its passes; each replay of it is recorded anew.

        If the optimiser's step is in the graph, call `record_step` after each replay.
        """
        return self._watched("capturing()").capturing()

    def record_step(self) -> None:
        """Count a step of a loop that has no optimiser to be hooked, once all gradients are there, or of a CUDA graph
        that was replayed.
        """
        self._watched("record_step()").record_step()

    def split_gradient(self, terms: Mapping[str, Tensor]) -> None:
        """Record which term of the loss each layer's gradient comes from, if the step in progress is recorded.

        Call it between the forward and the backward pass; it differentiates each term by itself and leaves gradients,
        graph and everything else as they are. Nothing happens on other steps, without a watched model, or where there
        is one term only.

        Args:
            terms: named scalars with their graph that add up to the loss, weights included, and without what gradient
                scaling multiplies the loss by. Those of several micro-batches of a step add up.
        """
        if self._watch is not None:
            self._watch.split_gradient(terms)

    @property
    def is_due(self) -> bool:
        """Whether the step in progress is recorded; False without a watched model."""
        return self._watch is not None and self._watch.is_due

    def _watched(self, call: str) -> Watch:
        if self._watch is None:
            raise RecorderError(f"{call} needs a model; call watch(model) first")
        return self._watch

    def log(self, values: Mapping[str, Any], step: int | None = None, epoch: float | None = None) -> None:
        """Add a point to each named curve. NaN and infinities are kept as such and shown.

        Args:
            values: numbers, also of NumPy, or tensors of one element (read later, without making a GPU wait).
            step: by default the optimiser's step just done, or the one in progress if the first value is logged before
                the first step; without a watched model the number of the call.
            epoch: where in the training, in epochs.

        Raises:
            RecorderError: a value is no single number, a name no text, or the run has ended.
        """
        self._must_be_open()
        at = self._default_step() if step is None else int(step)
        self._calls += 1
        numbers = {str(name): number(name, value) for name, value in values.items()}
        self._progress = replace(
            self._progress,
            last_step=max(self._progress.last_step, at),
            epoch=self._progress.epoch if epoch is None else float(epoch),
        )
        seconds = self.seconds
        self._writer.put(_Points(numbers, at, None if epoch is None else float(epoch), seconds, self.note_nonfinite))

    def _default_step(self) -> int:
        if self._watch is None:
            return self._calls
        if self._watch.was_skipped:
            return self._watch.step  # the next attempt has the same number, and its value takes this one's place
        if self._logs_ahead is None:
            self._logs_ahead = self._watch.steps_done == 0
        return self._watch.step if self._logs_ahead else self._watch.step - 1

    def progress(
        self,
        *,
        epoch: float | None = None,
        total_steps: int | None = None,
        samples_per_second: float | None = None,
        phase: str | None = None,
    ) -> None:
        """Say how far the training is; what is left out stays as it was."""
        given = {"epoch": epoch, "total_steps": total_steps, "samples_per_second": samples_per_second, "phase": phase}
        self._progress = replace(self._progress, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]

    def results(self, found: Results) -> None:
        """Note what the training is worth so far."""
        self._must_be_open()
        self._errand(lambda: write.results(self._store, self.id, found))

    def finish(self, status: Status | str = Status.COMPLETED, *, error: str | None = None) -> None:
        """Write what is waiting and end the run; a second call does nothing."""
        if self._finished:
            return
        final = _final(status)
        for call in self._before_end:
            call()
        self._finished = True
        self._at_end.forget()
        self.unwatch()
        self._writer.close()
        if final is Status.DIVERGED and error is None and self._nonfinite is not None:
            error = str(self._nonfinite)
        if final is Status.STOPPED:
            error = error or self._why_stopped
        try:
            write.finish(self._store, self.id, final, error=error, nonfinite=self._nonfinite, seconds=self.seconds)
        except (StoreError, SQLAlchemyError, OSError) as trouble:
            _log.warning("the end of run %d could not be written to %s (%s)", self.id, self._store.shown, trouble)
        if self.lost_rows:
            _log.warning("run %d lost %d rows that %s could not take", self.id, self.lost_rows, self._store.shown)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        status, cause = ending_of(error)
        self.finish(status, error=cause)

    def _must_be_open(self) -> None:
        if self._finished:
            raise RecorderError(f"run {self.id} has ended; gradscope.init(...) begins another")

    def _errand(self, call: Callable[[], None]) -> None:
        self._writer.put(Errand(call))

    def _take_layers(self, layers: Sequence[Layer]) -> None:
        self._errand(lambda: write.layers(self._store, self.id, layers))

    def _take_record(self, record: Record) -> None:
        self._progress = replace(self._progress, last_step=max(self._progress.last_step, record.step))
        self._writer.put(_Stats(record, self.note_nonfinite))


def _is_vague(known: NonFinite, where: NonFinite) -> bool:
    """Whether only a loss was seen so far, and this is about the same step."""
    return known.layer is None and where.step <= known.step + 1


def _final(status: Status | str) -> Status:
    finals = [s for s in Status if s.is_final]
    if status not in finals:
        raise RecorderError(f"finish({status!r}): a run ends as {', '.join(finals)}")
    return Status(status)


@dataclass(frozen=True)
class _Points:
    """The values of one call of `log`."""

    numbers: Mapping[str, Number]
    step: int
    epoch: float | None
    seconds: float
    note_nonfinite: Callable[[NonFinite], None]

    @property
    def n_rows(self) -> int:
        return len(self.numbers)

    def resolve(self) -> Batch:
        return Batch(metrics=tuple(self._metric(name, value) for name, value in self.numbers.items()))

    def _metric(self, name: str, value: Number) -> Metric:
        known = value if isinstance(value, float) else float(value.wait())
        finite = math.isfinite(known)
        if not finite and name in _LOSSES:
            self.note_nonfinite(NonFinite(step=self.step, layer=None, kind="loss"))
        return Metric(
            name=name, step=self.step, value=known if finite else None, epoch=self.epoch, seconds=self.seconds
        )


@dataclass(frozen=True)
class _Stats:
    """The layers of one recorded step."""

    record: Record
    note_nonfinite: Callable[[NonFinite], None]

    @property
    def n_rows(self) -> int:
        return self.record.n_rows

    def resolve(self) -> Batch:
        stats = self.record.stats()
        where = self.record.nonfinite()
        if where is not None:
            self.note_nonfinite(where)
        return Batch(
            stats=stats,
            gains=self.record.gains(),
            term_gradients=self.record.term_gradients(),
            term_cosines=self.record.term_cosines(),
        )
