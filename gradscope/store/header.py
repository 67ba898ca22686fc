"""What the first bytes of a file tell, without opening it as a database: is it a store, whole, of this version?"""

import struct
import time
from pathlib import Path

from gradscope.errors import StoreDamaged, StoreError, StoreForeign, StoreReadOnly

VERSION = "0012"
"""Revision of the newest migration; a store carries it in its table alembic_version and its header."""

APPLICATION_ID = 0x47726453
"""`GrdS`: written into a SQLite file's header, so that a store can be told from any other database."""

_ELSEWHERE = "name another with --store PATH"


def is_current(path: Path) -> bool:
    """Whether the file is surely a store that this version can use; one that is not may be all the same.

    The header of a store that is being written may lag behind its log, and other doubts take a database to settle:
    `open_store` does, and imports SQLAlchemy for it.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError:
        return False
    return len(header) == 100 and _complaint(path) is None and int.from_bytes(header[60:64], "big") == int(VERSION)


def check(path: Path) -> None:
    """Tell a store from any other file by its first 100 bytes, without opening it as a database.

    Looks twice before it refuses: while another process makes the store, or folds its log into it, the header is
    ahead of the rest for a moment.
    """
    if _complaint(path):
        time.sleep(0.3)  # no event tells when another process is done
        complaint = _complaint(path)
        if complaint:
            raise complaint


def _complaint(path: Path) -> StoreError | None:
    if path.is_dir():
        return StoreForeign(f"{path} is a folder, not a store; name a file with --store PATH")
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except PermissionError:
        return StoreReadOnly(f"{path} may not be read; give yourself access, or {_ELSEWHERE}")
    if not header.startswith(b"SQLite format 3\x00"):
        return StoreForeign(f"{path} is not a GradScope store (not a SQLite file) and was left as it is; {_ELSEWHERE}")
    if len(header) < 100 or path.stat().st_size < _size_in_header(header):
        return StoreDamaged(f"the store {path} is truncated and was left as it is; restore a copy, or {_ELSEWHERE}")
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        return StoreForeign(f"{path} is a SQLite database of another program and was left as it is; {_ELSEWHERE}")
    return None


def _size_in_header(header: bytes) -> int:
    """Bytes the file must have: page size (1 means 65,536) times the number of pages."""
    page_size, pages = struct.unpack(">H10xI", header[16:32])
    return (65_536 if page_size == 1 else page_size) * int(pages)
