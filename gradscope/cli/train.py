"""`gradscope train`, and the hidden command that trains what the queue hands out."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gradscope.cli.app import RunArgument, StoreOption, app, complain, open_named
from gradscope.cli.robustness import measure_here
from gradscope.cli.training import EXIT_CODES, train_here
from gradscope.errors import ConfigError

if TYPE_CHECKING:
    from gradscope.config import RunConfig
    from gradscope.store import Store


@app.command()
def train(
    preset: Annotated[str | None, typer.Option(metavar="NAME", help="What to start from, such as tanh-pn.")] = None,
    data: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="digits, shapes, cifar10, ..., or folder:PATH, parquet:PATH, rdrd:PATH."),
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
    from gradscope.config import Robustness
    from gradscope.records import Status

    config = config_of(preset, {"data.name": data, "train.epochs": epochs, "train.seed": seed}, change or [])
    shown = name or _name(config)
    opened = open_named(store, create=True)
    if queue:
        run_id = jobs.submit(opened, config, shown, tag or [])
        typer.echo(f"run {run_id} ({shown}) is queued; `gradscope runs` shows how it goes")
        return
    config = _taught_here(opened, config, shown, tag or [])
    run_id = jobs.create(opened, config, shown, status=Status.RUNNING, tags=tag or [])
    status = train_here(opened, run_id, shown)
    if status is Status.COMPLETED and config.train.robustness:
        measure_here(opened, run_id, Robustness(device=config.train.device))
    raise typer.Exit(EXIT_CODES[status])


def _taught_here(store: "Store", config: "RunConfig", name: str, tags: Sequence[str]) -> "RunConfig":
    """The config with a teacher that is trained: in this process, if there is none yet."""
    from gradscope import jobs
    from gradscope.jobs.teaching import taught_by, teacher_config
    from gradscope.records import Status

    wanted, found = teacher_config(config), jobs.known_teacher(store, config)
    if wanted is None:
        return config
    if found is not None and not found.status.is_final:
        raise ConfigError(
            f"the teacher, run {found.id} ({found.name}), is {found.status}; wait for it, or let the student wait with "
            "--queue"
        )
    if found is not None:
        return taught_by(config, found.id)
    teacher = jobs.create(store, wanted, f"{name}, teacher", status=Status.RUNNING, tags=tags)
    status = train_here(store, teacher, f"{name}, teacher")
    if status is not Status.COMPLETED:
        raise typer.Exit(EXIT_CODES[status])
    return taught_by(config, teacher)


def config_of(preset_name: str | None, flags: dict[str, object], changes: Sequence[str]) -> "RunConfig":
    """The settings of a preset (or the defaults) after `--set` and the flags, which win; None = flag not given.

    Says on stderr where a setting was changed that nobody named.
    """
    from gradscope.config import RunConfig
    from gradscope.overrides import tail_note, with_overrides
    from gradscope.presets import preset

    base = preset(preset_name).config if preset_name else RunConfig()
    given = {path: value for path, value in flags.items() if value is not None}
    assignments = {**dict(_assignment(text) for text in changes), **given}
    config = with_overrides(base, assignments)
    note = tail_note(base, assignments)
    if note:
        complain(note, 0)
    return config


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


@app.command(hidden=True)
def work(run: RunArgument, store: StoreOption = None) -> None:
    """Train a run that was claimed from the queue, in this process."""
    from gradscope import jobs
    from gradscope.config import Robustness, parse_config
    from gradscope.records import Status
    from gradscope.store import read

    opened = open_named(store)
    known = read.run(opened, run)
    status = train_here(opened, run, known.name)
    wanted = parse_config(known.config).train
    if status is Status.COMPLETED and wanted.robustness:
        # by the queue and not here: a process that goes on after its run is complete is ended
        jobs.submit_task(opened, run, Robustness(device=wanted.device))
    sys.stdout.flush()
    # everything is written; to take PyTorch apart would keep the next run waiting for seconds
    os._exit(EXIT_CODES[status])
