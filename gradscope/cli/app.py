"""The command itself, and what its sub-commands share."""

import os
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn, cast

import typer

from gradscope.errors import GradScopeError
from gradscope.paths import is_url, store_name

if TYPE_CHECKING:
    from gradscope.store import Store

# the base of every complaint about a command line; typer names only its descendants
_CommandLineError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])

app = typer.Typer(
    help="The gradient microscope: see in which layer learning dies.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StoreOption = Annotated[
    str | None, typer.Option("--store", metavar="PATH", help="Store of the runs (default: GRADSCOPE_STORE or runs.db).")
]
RunArgument = Annotated[int, typer.Argument(metavar="RUN", help="Number of the run, see `gradscope runs`.")]


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and exit."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except GradScopeError as error:
        code = complain(str(error), 2)
    except _CommandLineError as error:
        code = complain(f"{error.format_message().rstrip('.')}; `gradscope --help` shows what there is", 2)
    except (KeyboardInterrupt, typer.Abort):
        code = complain("interrupted", 130)
    except BrokenPipeError:  # `gradscope runs | head` has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as error:
        if os.environ.get("GRADSCOPE_DEBUG"):
            raise
        code = complain(f"{first_line(error)} (GRADSCOPE_DEBUG=1 shows where)", 1)
    sys.exit(code or 0)


def complain(sentence: str, code: int) -> int:
    """Say it on stderr, in one line; gives the code back."""
    typer.echo(f"gradscope: {' '.join(sentence.split())}", err=True)
    return code


def first_line(error: BaseException) -> str:
    """Class and first line of an error that nobody foresaw."""
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


def open_named(store: str | None, *, create: bool = False) -> "Store":
    """The store of `--store`, with ~ expanded."""
    from gradscope.store import open_store

    return open_store(named(store), create=create)


def named(store: str | None) -> str:
    """Path or URL of `--store`, with ~ expanded, else of the environment."""
    if store and not is_url(store):
        store = str(Path(store).expanduser())
    return store_name(store)
