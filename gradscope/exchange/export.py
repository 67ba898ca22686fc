"""A run, written into a folder of its own in one of several formats."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from gradscope.errors import ExchangeError
from gradscope.exchange.formats import Format
from gradscope.exchange.tables_export import write_csv, write_parquet
from gradscope.store import Store, read


def _write_event_file(store: Store, run_id: int, folder: Path) -> None:
    # nobody else needs TensorBoard to be there
    from gradscope.exchange.tensorboard_export import write_event_file

    write_event_file(store, run_id, folder)


_WRITERS: dict[Format, Callable[[Store, int, Path], None]] = {
    Format.TENSORBOARD: _write_event_file,
    Format.CSV: write_csv,
    Format.PARQUET: write_parquet,
}


def export(store: Store, run_id: int, to: Format, out: Path | None = None) -> str:
    """Write a run into a new folder, `run-<id>-<format>` by default; the folder is whole or not there at all.

    Returns:
        A sentence that says what was written.

    Raises:
        ExchangeError: the folder exists already, or cannot be made.
        RunNotFound: there is no such run.
    """
    run = read.run(store, run_id)
    folder = out or Path(f"run-{run_id}-{to}")
    if folder.exists():
        raise ExchangeError(f"{folder} exists already and nothing is overwritten; name another folder with --out PATH")
    partial = folder.with_name(f".{folder.name}.{os.getpid()}.partial")
    try:
        partial.mkdir(parents=True)
        _WRITERS[to](store, run_id, partial)
        partial.rename(folder)
    except OSError as error:
        raise ExchangeError(f"{folder} cannot be written ({error.strerror}); name another with --out PATH") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    files = ", ".join(sorted(file.name for file in folder.iterdir()))
    return f"run {run_id} ({run.name}) is written to {folder}: {files}"
