"""A run that goes on while a page looks at it, written by a thread of the test: no training takes a core for it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stores import Story, add, records

from gradscope.records import Status
from gradscope.store import open_store

SECONDS_A_RECORD = 0.25
VANISHING = Story(name="sigmoid", preset="sigmoid", factor=0.21, layers=9, status=Status.RUNNING)


@contextmanager
def going_on(path: Path, story: Story = VANISHING) -> Iterator[int]:
    """Its id; every tenth step is recorded until the block ends."""
    store = open_store(path, create=True)
    run = add(store, story)
    ended = threading.Event()

    def write() -> None:
        step = 390
        while not ended.wait(SECONDS_A_RECORD):
            step += 10
            records(store, run, story, [step])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield run
    finally:
        ended.set()
        thread.join()
        store.close()
