"""The `gradscope` command. Errors are one sentence on stderr; torch is imported by what trains, and by nothing else.

Exit codes: 0 done (of a training: completed), 1 the training failed, 2 it could not be done as asked, 3 the training
diverged, 4 the training was stopped, 130 interrupted.
"""

import json
import os
import sys
import traceback
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer

from gradscope.errors import ConfigError, GradScopeError
from gradscope.exchange.formats import Format

if TYPE_CHECKING:
    from gradscope.config import RunConfig
    from gradscope.records import Run, Status
    from gradscope.store import Store

EXIT_CODES = {"completed": 0, "failed": 1, "diverged": 3, "stopped": 4}
"""What `gradscope train` ends with, by the run's status."""

# the base of every complaint about a command line; typer names only its descendants
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])

app = typer.Typer(
    help="The gradient microscope: see in which layer learning dies.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)

imports = typer.Typer(help="Make runs of what another program recorded.")
app.add_typer(imports, name="import")

StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="PATH", help="Store of the runs (default: GRADSCOPE_STORE or runs.db).")
]
RunArgument = Annotated[int, typer.Argument(metavar="RUN", help="Number of the run, see `gradscope runs`.")]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except GradScopeError as error:
        code = _complain(str(error), 2)
    except _CommandLineError as error:
        code = _complain(f"{error.format_message().rstrip('.')}; `gradscope --help` shows what there is", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = _complain("interrupted", 130)
    except BrokenPipeError:  # `gradscope runs | head` has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("GRADSCOPE_DEBUG"):
            raise
        code = _complain(f"{_first_line(error)} (GRADSCOPE_DEBUG=1 shows where)", 1)
    sys.exit(code or 0)


def _complain(sentence: str, code: int) -> int:
    typer.echo(f"gradscope: {' '.join(sentence.split())}", err=True)
    return code


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}".rstrip(": ")


@app.callback(invoke_without_command=True)
def _gradscope(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the versions and exit.")] = False,
) -> None:
    if version:
        from gradscope.store import sqlite_version

        python = ".".join(map(str, sys.version_info[:3]))
        torch = metadata.version("torch")
        typer.echo(
            f"gradscope {metadata.version('gradscope')} (Python {python}, torch {torch}, SQLite {sqlite_version()})"
        )
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def demo(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard.", min=1, max=65_535)] = 8501,
    no_ui: Annotated[bool, typer.Option("--no-ui", help="Train only.")] = False,
) -> None:
    """Train five small runs on hand-written digits, then open the dashboard; what is trained already is kept."""
    from gradscope.demo import DEMO_TAG, demo_runs
    from gradscope.jobs import create
    from gradscope.records import Status
    from gradscope.serve import serve

    opened = _open(store, create=True)
    for name, config in demo_runs():
        if _has_completed(opened, name, config):
            typer.echo(f"{name}  already trained")
            continue
        run_id = create(opened, config, name, status=Status.RUNNING, tags=[DEMO_TAG])
        status = _train(opened, run_id, name)
        if status is Status.STOPPED:
            raise typer.Exit(EXIT_CODES[status])
    if not no_ui:
        serve(opened, port)


def _has_completed(store: "Store", name: str, config: "RunConfig") -> bool:
    from gradscope.records import Status
    from gradscope.store import read

    wanted = config.model_dump(mode="json")
    return any(r.name == name and r.status is Status.COMPLETED and r.config == wanted for r in read.runs(store))


@app.command()
def ui(
    store: StoreOption = None,
    port: Annotated[int, typer.Option(help="Port of the dashboard.", min=1, max=65_535)] = 8501,
) -> None:
    """Open the dashboard."""
    from gradscope.jobs import reap
    from gradscope.serve import serve

    opened = _open(store, create=True)
    reap(opened)
    serve(opened, port)


@app.command()
def train(
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="What to start from, such as tanh-pn.")] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="digits, shapes, cifar10, ..., folder:PATH or parquet:PATH.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Number of epochs.")] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the weights and of the order of the images.")] = None,
    change: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Any setting, such as model.depth=20.")
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the run.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="A word to find the run by; may be given again.")] = None,
    queue: Annotated[bool, typer.Option("--queue", help="Train in the background, when there is room.")] = False,
    store: StoreOption = None,
) -> None:
    """Train a run. Exits with 0 completed, 1 failed, 2 refused, 3 diverged, 4 stopped."""
    from gradscope import jobs
    from gradscope.records import Status

    config = _config(preset, {"data.name": data, "train.epochs": epochs, "train.seed": seed}, change or [])
    shown = name or _name(config)
    opened = _open(store, create=True)
    if queue:
        run_id = jobs.submit(opened, config, shown, tag or [])
        typer.echo(f"run {run_id} ({shown}) is queued; `gradscope runs` shows how it goes")
        return
    run_id = jobs.create(opened, config, shown, status=Status.RUNNING, tags=tag or [])
    raise typer.Exit(EXIT_CODES[_train(opened, run_id, shown)])


def _config(preset_name: str | None, flags: dict[str, object], changes: Sequence[str]) -> "RunConfig":
    from gradscope.config import RunConfig
    from gradscope.overrides import with_overrides
    from gradscope.presets import preset

    base = preset(preset_name).config if preset_name else RunConfig()
    given = {path: value for path, value in flags.items() if value is not None}
    return with_overrides(base, {**dict(_assignment(text) for text in changes), **given})


def _assignment(text: str) -> tuple[str, str]:
    path, equals, value = text.partition("=")
    if not (equals and path.strip()):
        raise ConfigError(f"--set {text!r} is no assignment; write NAME=VALUE, such as model.depth=20")
    return path.strip(), value


def _name(config: "RunConfig") -> str:
    start = config.preset or config.model.name
    path = getattr(config.data, "path", None)
    data = Path(path).name if path else config.data.name
    return start if data == "digits" else f"{start} {data}"


def _train(store: "Store", run_id: int, name: str) -> "Status":
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
        sentence = str(error) if isinstance(error, GradScopeError) else _first_line(error)
        write.finish(store, run_id, Status.FAILED, error=sentence)
    log = store.paths(run_id).log
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        traceback.print_exception(error, file=file)


def _tell_end(store: "Store", run: "Run") -> None:
    numbers = {"validation": run.results.val_accuracy, "test": run.results.test_accuracy}
    known = ", ".join(f"{name} {value:.1%}" for name, value in numbers.items() if value is not None)
    text = f"run {run.id} ({run.name}) {run.status}" + (f": {known}" if known else "")
    if run.error:
        where = f"; the traceback is in {store.paths(run.id).log}" if run.status == "failed" else ""
        _complain(f"{text}: {run.error}{where}", 0)
    else:
        typer.echo(text)


@app.command()
def runs(
    store: StoreOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON, for programs.")] = False,
) -> None:
    """List the runs, newest first."""
    from gradscope.store import read
    from gradscope.terminal import table

    opened = _open(store)
    if not opened.read_only:
        from gradscope.store import write

        write.mark_lost(opened)
    found = read.runs(opened)
    if as_json:
        typer.echo(json.dumps([_summary(run) for run in found], indent=2, ensure_ascii=False))
    else:
        typer.echo(table(found) if found else "no runs yet; `gradscope train --preset tanh` makes one")


def _summary(run: "Run") -> dict[str, object]:
    return {
        "id": run.id,
        "name": run.name,
        "status": str(run.status),
        "config": run.config,
        "last_step": run.progress.last_step,
        "val_accuracy": run.results.val_accuracy,
        "test_accuracy": run.results.test_accuracy,
    }


@app.command()
def stop(run: RunArgument, store: StoreOption = None) -> None:
    """Stop a run: it writes a checkpoint and ends."""
    from gradscope import jobs

    status = jobs.stop(_open(store), run)
    typer.echo(f"run {run} is {status}")


@app.command()
def resume(run: RunArgument, store: StoreOption = None) -> None:
    """Go on with an ended run from its checkpoint, in the background."""
    from gradscope import jobs

    jobs.resume(_open(store), run)
    typer.echo(f"run {run} is queued; `gradscope runs` shows how it goes")


@app.command()
def delete(
    run: RunArgument,
    store: StoreOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a run with its records and files."""
    from gradscope import jobs
    from gradscope.store import read

    opened = _open(store)
    name = read.run(opened, run).name
    if not yes and not typer.confirm(f"Delete run {run} ({name}) with its records and files?"):
        typer.echo(f"run {run} is kept")
        return
    jobs.delete(opened, run)
    typer.echo(f"run {run} is deleted")


@imports.command()
def tensorboard(
    logdir: Annotated[Path, typer.Argument(metavar="LOGDIR", help="The folder that `tensorboard --logdir` is given.")],
    store: StoreOption = None,
) -> None:
    """Make a run of every folder of event files: curves, and histograms of gradients and weights."""
    from gradscope.exchange.tensorboard_import import import_logdir

    for imported in import_logdir(_open(store, create=True), logdir):
        typer.echo(imported)


@app.command()
def export(
    run: RunArgument,
    to: Annotated[Format, typer.Option(help="What to write.")],
    out: Annotated[Path | None, typer.Option(metavar="PATH", help="A new folder (default: run-RUN-FORMAT).")] = None,
    store: StoreOption = None,
) -> None:
    """Write a run as event files for TensorBoard, or as tables."""
    from gradscope.exchange.export import export as export_run

    typer.echo(export_run(_open(store), run, to, out))


@app.command()
def migrate(store: StoreOption = None) -> None:
    """Bring the store of an older GradScope up to date; keeps a copy."""
    from gradscope.paths import store_name
    from gradscope.store.migration import upgrade

    copy = upgrade(store)
    kept = f"; the old one is kept as {copy}" if copy else ""
    typer.echo(f"{store_name(store)} is up to date{kept}")


@app.command(hidden=True)
def supervise(store: StoreOption = None) -> None:
    """Serve the queue of the store until it is empty."""
    import logging

    from gradscope import jobs

    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    jobs.supervise(_open(store))


@app.command(hidden=True)
def work(run: RunArgument, store: StoreOption = None) -> None:
    """Train a run that was claimed from the queue, in this process."""
    from gradscope.store import read

    opened = _open(store)
    code = EXIT_CODES[_train(opened, run, read.run(opened, run).name)]
    sys.stdout.flush()
    # everything is written; to take PyTorch apart would keep the next run waiting for seconds
    os._exit(code)


def _open(store: str | None, *, create: bool = False) -> "Store":
    from gradscope.store import open_store

    if store and "://" not in store:
        store = str(Path(store).expanduser())
    return open_store(store, create=create)
