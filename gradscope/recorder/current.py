"""`gradscope.init`, and `watch`, `log` and `finish` of the run that was begun last."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from torch import nn
from torch.optim import Optimizer

from gradscope.config.train import BUDGET
from gradscope.errors import RecorderError
from gradscope.recorder.disabled import Disabled, Follower
from gradscope.recorder.layers import Choice
from gradscope.recorder.provenance import provenance
from gradscope.recorder.schedule import Every
from gradscope.recorder.session import Session
from gradscope.recorder.values import plain_config
from gradscope.recorder.watch import Log
from gradscope.records import Status
from gradscope.store import open_store, write

MODE_VARIABLE = "GRADSCOPE_MODE"
Mode = Literal["enabled", "disabled"]


class _Current:
    session: Session | None = None


def init(
    name: str | None = None,
    config: Mapping[str, Any] | object | None = None,
    store: str | os.PathLike[str] | None = None,
    tags: Sequence[str] = (),
    note: str = "",
    mode: Mode | None = None,
) -> Session:
    """Begin a run.

    Args:
        name: how it is called in the dashboard; the script's name by default.
        config: the settings of the training: a mapping, an `argparse.Namespace` or a dataclass.
        store: path or URL of the store, made if missing; `GRADSCOPE_STORE`, else `runs.db`, by default.
        tags: words to find it by.
        note: a remark.
        mode: "disabled" returns a session that accepts everything and does nothing; so does `GRADSCOPE_MODE=disabled`.
            The session of every process of a distributed training but the first writes nothing.

    Raises:
        StoreError: the store cannot be used; the message says why.
        RecorderError: `config` or `mode` is none of the above.
    """
    settings = plain_config(config)
    if _is_disabled(mode):
        _Current.session = Disabled()
    elif os.environ.get("RANK", "0") != "0":
        _Current.session = Follower()
    else:
        _Current.session = _begin(name, settings, store, tags, note)
    return _Current.session


def _begin(
    name: str | None, config: dict[str, Any], store: str | os.PathLike[str] | None, tags: Sequence[str], note: str
) -> Session:
    opened = open_store(store, create=True)
    run_id = write.create_run(
        opened,
        name=name or Path(sys.argv[0] or "notebook").stem,
        source="attached",
        config=config,
        status=Status.RUNNING,
        provenance=provenance(),
        tags=[tags] if isinstance(tags, str) else list(tags),
        note=note,
    )
    return Session(opened, run_id)


def _is_disabled(mode: str | None) -> bool:
    chosen = mode or os.environ.get(MODE_VARIABLE) or "enabled"
    if chosen not in ("enabled", "disabled"):
        raise RecorderError(f'mode={chosen!r} is not known; give "enabled" or "disabled", also in {MODE_VARIABLE}')
    return chosen == "disabled"


def current() -> Session:
    """The run that was begun last.

    Raises:
        RecorderError: none was.
    """
    if _Current.session is None:
        raise RecorderError("no run has begun; call run = gradscope.init(name=...) first")
    return _Current.session


def watch(
    model: nn.Module,
    optimizer: Optimizer | None = None,
    *,
    every: Every = 10,
    log: Log = "gradients",
    layers: Choice = None,
    step: int = 0,
    budget: float = BUDGET,
) -> None:
    """`Session.watch` of the current run."""
    current().watch(model, optimizer, every=every, log=log, layers=layers, step=step, budget=budget)


def log(values: Mapping[str, Any], step: int | None = None, epoch: float | None = None) -> None:
    """`Session.log` of the current run."""
    current().log(values, step=step, epoch=epoch)


def finish(status: Status | str = Status.COMPLETED, *, error: str | None = None) -> None:
    """`Session.finish` of the current run, after which there is none."""
    current().finish(status, error=error)
    _Current.session = None
