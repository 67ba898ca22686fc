"""Training in this process, for the commands that do."""

import os
import traceback
from typing import TYPE_CHECKING

import typer

from gradscope.cli.app import complain, first_line
from gradscope.errors import GradScopeError

if TYPE_CHECKING:
    from gradscope.records import Run, Status
    from gradscope.store import Store

EXIT_CODES = {"completed": 0, "failed": 1, "diverged": 3, "stopped": 4}
"""What `gradscope train` ends with, by the run's status."""


def train_here(store: "Store", run_id: int, name: str) -> "Status":
    """Train in this process and tell how it ended; a failure that nobody foresaw leaves its traceback in the log."""
    from gradscope.records import Status
    from gradscope.store import read, write
    from gradscope.terminal import shown

    # must be set before torch is loaded: threads that spin while they wait, OpenMP's default, take the processor from
    # the dashboard and from other runs; on two busy cores a small network then trains five times slower
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with shown(name) as display:
            from gradscope.train import train as train_run

            status = train_run(store, run_id, on_progress=display)
    except KeyboardInterrupt:
        write.finish(store, run_id, Status.STOPPED)
        status = Status.STOPPED
    except Exception as error:
        _note_failure(store, run_id, error)
        if isinstance(error, GradScopeError):
            raise
        status = Status.FAILED
    _tell_end(store, read.run(store, run_id))
    return status


def _note_failure(store: "Store", run_id: int, error: Exception) -> None:
    from gradscope.records import Status
    from gradscope.store import read, write

    # normally the training has written it down itself
    if not read.run(store, run_id).status.is_final:
        sentence = str(error) if isinstance(error, GradScopeError) else first_line(error)
        write.finish(store, run_id, Status.FAILED, error=sentence)
    log = store.paths(run_id).log
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        traceback.print_exception(error, file=file)


def _tell_end(store: "Store", run: "Run") -> None:
    from gradscope.terminal import told, unread_is_no_error

    numbers = {"validation": run.results.val_score, "test": run.results.test_score}
    known = ", ".join(f"{name} {told(v, run.results.score)}" for name, v in numbers.items() if v is not None)
    text = f"run {run.id} ({run.name}) {run.status}" + (f": {known}" if known else "")
    with unread_is_no_error():
        if run.error:
            where = f"; the traceback is in {store.paths(run.id).log}" if run.status == "failed" else ""
            complain(f"{text}: {run.error}{where}", 0)
        else:
            typer.echo(text)
