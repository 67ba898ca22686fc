"""Sessions that write nothing."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext

from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.config.train import BUDGET
from gradscope.recorder.hooks import Hook, Hooks
from gradscope.recorder.layers import Choice
from gradscope.recorder.schedule import Every, timetable
from gradscope.recorder.session import Session
from gradscope.recorder.sharded import is_sharded
from gradscope.recorder.watch import Log, Receiver, Watch
from gradscope.records import NonFinite, Results, Status


class Disabled(Session):
    """A session that accepts everything and does nothing but count steps, so that a script needs no `if`."""

    id = 0
    seconds = 0.0
    recorder_seconds = 0.0
    lost_rows = 0
    stop_requested = False
    nonfinite = None
    store = None

    def __init__(self) -> None:
        """Needs no store."""
        self._step = 0
        self._counts_calls = True
        self._hooks = Hooks()

    @property
    def step(self) -> int:
        """As of an enabled session: all processes of a distributed training count alike."""
        return self._step

    def resumed(self, seconds: float) -> None:
        """Ignored."""

    def request_stop(self, why: str | None = None) -> None:
        """Ignored."""

    def flush(self, seconds: float = 0.0) -> bool:
        """There is nothing to wait for."""
        return True

    def before_end(self, call: Callable[[], None]) -> None:
        """Ignored."""

    def note_nonfinite(self, where: NonFinite) -> None:
        """Ignored."""

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
        """Count the optimiser's steps."""
        self._step, self._counts_calls = step, False
        if optimizer is not None:
            self._hooks.add(optimizer.register_step_post_hook(Hook(self, Disabled._count)))

    def _count(self, *_: object) -> None:
        self._step += 1

    def unwatch(self) -> None:
        """Count no more."""
        self._hooks.remove()

    def recording(self) -> AbstractContextManager[None]:
        """Does nothing around the block."""
        return nullcontext()

    def capturing(self) -> AbstractContextManager[None]:
        """Does nothing around the block."""
        return nullcontext()

    @property
    def is_due(self) -> bool:
        """False: nothing is recorded."""
        return False

    def record_step(self) -> None:
        """Count a step."""
        self._step += 1

    def split_gradient(self, terms: Mapping[str, Tensor]) -> None:
        """Ignored."""

    def log(self, *_: object, **__: object) -> None:  # accepts whatever comes
        """Counted, where nothing else is."""
        self._step += self._counts_calls

    def progress(self, **_: object) -> None:
        """Ignored."""

    def results(self, found: Results) -> None:
        """Ignored."""

    def finish(self, status: Status | str = Status.COMPLETED, *, error: str | None = None) -> None:
        """Count no more."""
        self.unwatch()


def _ignore(_: object) -> None:
    """Nobody wants to know."""


_NOBODY = Receiver(layers=_ignore, record=_ignore)


class Follower(Disabled):
    """The session of every process of a distributed training but the first.

    Where the processes share the weights it measures what this one holds of them, for the first to write.
    """

    _measuring: Watch | None = None

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
        """Count the optimiser's steps, and measure on those that the first process measures on."""
        super().watch(model, optimizer, step=step)
        if is_sharded(model):
            times = timetable(every, budget)
            self._measuring = Watch(
                model, optimizer, schedule=times, log=log, choice=layers, step=step, receiver=_NOBODY
            )

    def unwatch(self) -> None:
        """Neither count nor measure any more."""
        super().unwatch()
        if self._measuring is not None:
            self._measuring.remove()
            self._measuring = None

    def recording(self) -> AbstractContextManager[None]:
        """As in the first process."""
        return nullcontext() if self._measuring is None else self._measuring.recording()

    def capturing(self) -> AbstractContextManager[None]:
        """As in the first process."""
        return nullcontext() if self._measuring is None else self._measuring.capturing()

    @property
    def is_due(self) -> bool:
        """False: nothing is recorded."""
        return False

    def record_step(self) -> None:
        """Count a step."""
        super().record_step()
        if self._measuring is not None:
            self._measuring.record_step()
