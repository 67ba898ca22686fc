"""Fetching the archives of known data sets, once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

from gradscope.data.dataset import Progress
from gradscope.errors import DataError

_BLOCK = 1 << 18
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Archive:
    """A file with one or several addresses and a known checksum."""

    urls: tuple[str, ...]
    path: Path
    md5: str


def fetch(name: str, archives: Sequence[Archive], progress: Progress) -> None:
    """Download what is not there yet; each file appears under its name only when it is whole and its checksum right.

    Args:
        name: What an error calls the data set.
        archives: The files.
        progress: Called with (bytes done, bytes in all) of the file at hand.

    Raises:
        DataError: No address answers, or what came has another checksum.
    """
    for archive in archives:
        if not (archive.path.is_file() and _md5(archive.path) == archive.md5):
            _fetch_one(name, archive, progress)


def _fetch_one(name: str, archive: Archive, progress: Progress) -> None:
    part = archive.path.with_name(archive.path.name + ".part")
    reasons = []
    for url in archive.urls:
        try:
            archive.path.parent.mkdir(parents=True, exist_ok=True)
            _download(url, part, progress)
        except (OSError, ValueError) as error:  # URLError, timeouts and broken connections are OSErrors
            reasons.append(f"{url}: {error}")
            part.unlink(missing_ok=True)
            continue
        if _md5(part) == archive.md5:
            part.replace(archive.path)
            return
        reasons.append(f"{url}: the file's checksum is wrong")
        part.unlink()
    raise DataError(
        f"{name} could not be downloaded ({'; '.join(reasons)}); connect to the network and start again, put "
        f"{archive.path.name} into {archive.path.parent} by hand, or train on digits or shapes, which need no download"
    )


def _download(url: str, path: Path, progress: Progress) -> None:
    request = Request(url, headers={"User-Agent": "gradscope"})  # some servers refuse Python's own name
    with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer, path.open("wb") as out:
        total, done = int(answer.headers.get("Content-Length") or 0), 0
        while block := answer.read(_BLOCK):
            out.write(block)
            done += len(block)
            progress(done, max(total, done))


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
