"""Performing tasks: what the queue hands out, and what a command performs in its own terminal."""

import os
import sys
import traceback
from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import StoreOption, app, complain, first_line, open_named
from gradscope.cli.training import EXIT_CODES
from gradscope.errors import GradScopeError

if TYPE_CHECKING:
    from gradscope.records import Status
    from gradscope.store import Store


@app.command(hidden=True)
def perform(
    task: Annotated[int, typer.Argument(metavar="TASK", help="Number of the task.")], store: StoreOption = None
) -> None:
    """Perform a task that was claimed from the queue, in this process."""
    from gradscope.store import read_tasks

    opened = open_named(store)
    code = EXIT_CODES[perform_here(opened, task, read_tasks.task(opened, task).kind)]
    sys.stdout.flush()
    # everything is written; to take PyTorch apart would keep the next task waiting for seconds
    os._exit(code)


def perform_here(store: "Store", task_id: int, name: str) -> "Status":
    """Perform a task in this process and show how far it is; a failure nobody foresaw leaves its traceback in the log.

    Raises:
        GradScopeError: why it could not be performed, in a sentence.
    """
    from gradscope.records import Status
    from gradscope.store import read_tasks, write_tasks
    from gradscope.terminal import shown_task

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch is loaded, see `train_here`
    task = read_tasks.task(store, task_id)
    try:
        with shown_task(name) as display:
            from gradscope.tasks.perform import perform as perform_task

            return perform_task(store, task_id, on_progress=display)
    except KeyboardInterrupt:  # a second one, or one while the libraries are loaded
        write_tasks.finish(store, task_id, Status.STOPPED)
        return Status.STOPPED
    except GradScopeError:
        raise
    except Exception as error:
        log = store.paths(task.run_id).task(task_id).log
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a") as file:
            traceback.print_exception(error, file=file)
        complain(f"{name} failed: {first_line(error)}; the traceback is in {log}", 1)
        return Status.FAILED
