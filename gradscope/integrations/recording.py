"""What the integrations have in common: the choices a user makes, and how a run begins and ends."""

import numbers
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed
from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.config.train import BUDGET
from gradscope.recorder.current import init
from gradscope.recorder.ending import ending_of
from gradscope.recorder.layers import Choice
from gradscope.recorder.schedule import Every
from gradscope.recorder.session import Session
from gradscope.recorder.values import plain_config
from gradscope.recorder.watch import Log
from gradscope.records import Status

STEPS_BETWEEN_TALKS = 20
"""The processes of a distributed training agree on a stop every so many steps."""


@dataclass(kw_only=True, eq=False)
class Recording:
    """The arguments of `gradscope.init` and `Session.watch`, as every integration takes them."""

    name: str | None = None
    """How the run is called in the dashboard; the script's name by default."""
    config: Mapping[str, Any] | object | None = None  # Any: the values of settings are of any type
    """Settings beside those that the library knows; of two with the same name these count."""
    store: str | os.PathLike[str] | None = None
    """Path or URL; `GRADSCOPE_STORE`, else `runs.db`, by default."""
    tags: Sequence[str] = ()
    note: str = ""
    every: Every = 10
    """Steps between records after a dense start, "auto" for as many as the budget allows, the steps themselves, or a
    function of a step."""
    budget: float = BUDGET
    """With every="auto", the share in 0..1 of the training time that recording may take."""
    log: InitVar[Log] = "gradients"
    """"gradients", or "all": also signals, activations, weights and updates."""
    layers: Choice = None
    """A regular expression searched for in the layers' names, a predicate of name and module, or all."""

    def __post_init__(self, log: Log) -> None:
        # under another name: Lightning puts the module's own `log` into every callback
        self._kinds = log

    def begin(self, found: Mapping[str, Any], *, is_first: bool, part: str = "") -> Session:
        """A new run.

        Args:
            found: settings that the library knows.
            is_first: whether this is the process that writes; all others get a session that does nothing.
            part: of the network, added to the name where one training makes several runs.
        """
        config = {**plain_config(found), **plain_config(self.config)}
        name = self.name or Path(sys.argv[0] or "notebook").stem
        shown = f"{name} / {part}" if part else name
        return init(shown, config, self.store, self.tags, self.note, mode=None if is_first else "disabled")

    def observe(
        self, session: Session, model: nn.Module, optimizer: Optimizer, *, step: int, layers: Choice = None
    ) -> None:
        """`Session.watch` with the user's choices; `step` is the number of the coming one."""
        chosen = self.layers if layers is None else layers
        session.watch(model, optimizer, every=self.every, log=self._kinds, layers=chosen, step=step, budget=self.budget)


def ending(error: BaseException) -> tuple[Status, str | None]:
    """Status and cause of a training that the exception ended; one that was asked to leave was stopped."""
    status, cause = ending_of(error)
    return (Status.STOPPED, None) if status is Status.COMPLETED else (status, cause)


def single_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those that `Session.log` takes: numbers, and tensors of one element."""
    return {str(name): value for name, value in values.items() if _is_single_number(value)}


def _is_single_number(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_complex()
    return isinstance(value, numbers.Real) or (isinstance(value, np.generic) and value.dtype.kind in "biuf")


def any_process(wants: bool, step: int) -> bool:
    """Whether one of the processes of the training wants something; each must ask at the same steps.

    They talk every STEPS_BETWEEN_TALKS steps only, because to talk is to wait for each other. A process that stopped
    on its own would keep the others waiting for ever.
    """
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1):
        return wants
    if step % STEPS_BETWEEN_TALKS:
        return False
    on_gpu = "nccl" in distributed.get_backend()
    flag = torch.tensor(float(wants), device=torch.device("cuda", torch.cuda.current_device()) if on_gpu else "cpu")
    distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag)
