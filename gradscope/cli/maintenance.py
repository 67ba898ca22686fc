"""`gradscope migrate`, and the hidden command behind the queue."""

import sys

import typer

from gradscope.cli.app import StoreOption, app, open_named


@app.command()
def migrate(store: StoreOption = None) -> None:
    """Bring the store of an older GradScope up to date; keeps a copy."""
    from gradscope.paths import store_name
    from gradscope.store.migration import upgrade

    copy = upgrade(store)
    kept = f"; the old one is kept as {copy}" if copy else ""
    typer.echo(f"{store_name(store)} is up to date{kept}")


@app.command("supervise", hidden=True)
def serve_queue(store: StoreOption = None) -> None:
    """Serve the queue of the store until it is empty."""
    import logging

    from gradscope.jobs.supervisor import supervise

    logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(message)s")
    supervise(open_named(store))
