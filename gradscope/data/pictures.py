"""Decoding many picture files into one tensor."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
import psutil
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from gradscope.data.dataset import Progress
from gradscope.errors import DataError

Encoded = bytes | Path
"""A picture file: its contents, or where it is."""

GREY_MODES = frozenset({"1", "L"})
COPIES = 2
"""Of all pictures that stand in memory side by side while the validation is split off."""
_CHUNK = 128
# Pillow releases the interpreter's lock only while it decompresses, the smaller part of the work for a small picture:
# on 2 cores two threads decoded 5,000 JPEGs of 32x32 in 0.34 s, one thread in 0.26 s.
_BYTES_WORTH_A_THREAD = 8_192


class _Colour(Exception):
    """A colour picture among grey ones."""


def decode(pictures: Sequence[Encoded], name: Callable[[int], str], size: int | None, progress: Progress) -> Tensor:
    """All pictures as one tensor; with one channel if all are grey, otherwise red, green, blue.

    Args:
        pictures: N picture files in any format that Pillow reads, 8 bits a channel.
        name: What an error calls the i-th picture.
        size: Resize to size x size (bilinear, antialiased); None: all must already have one size.
        progress: Called with (done, N).

    Returns:
        uint8 [N, C, H, W].

    Raises:
        DataError: A picture cannot be read, or its size differs from the first one's; names it.
    """
    if not pictures:
        return torch.empty(0, 1, size or 0, size or 0, dtype=torch.uint8)
    first = _read(pictures[0], name(0), size)
    if first.mode in GREY_MODES:
        try:
            return _decode_as("L", first, pictures, name, size, progress)
        except _Colour:
            pass  # so they are not all grey: once more, in colour
    return _decode_as("RGB", first, pictures, name, size, progress)


def _decode_as(
    mode: str,
    first: Image.Image,
    pictures: Sequence[Encoded],
    name: Callable[[int], str],
    size: int | None,
    progress: Progress,
) -> Tensor:
    _refuse_too_many(len(pictures), first, len(mode))
    out = np.empty((len(pictures), first.height, first.width, len(mode)), np.uint8)
    done, lock = 0, Lock()

    def decode_chunk(start: int) -> None:
        nonlocal done
        stop = min(start + _CHUNK, len(pictures))
        for i in range(start, stop):
            out[i] = _pixels(_read(pictures[i], name(i), size), mode, first.size, name, i)
        with lock:
            done += stop - start
            progress(done, len(pictures))

    with ThreadPoolExecutor(_workers(pictures)) as pool:
        futures = [pool.submit(decode_chunk, start) for start in range(0, len(pictures), _CHUNK)]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return torch.from_numpy(out).permute(0, 3, 1, 2).contiguous()


def _refuse_too_many(n: int, first: Image.Image, channels: int) -> None:
    """DataError where the pictures do not fit into memory twice: a split is a copy."""
    needed, free = COPIES * n * first.width * first.height * channels, psutil.virtual_memory().available
    if needed > free:
        side = int(min(first.size) * (free / needed) ** 0.5)
        raise DataError(
            f"{n:,} pictures of {first.width}x{first.height} need {needed / 1e9:.0f} GB of memory and {free / 1e9:.0f} "
            f"GB are free; set data.size to at most {side} where the source has it, or give fewer pictures"
        )


def _pixels(
    image: Image.Image, mode: str, expected: tuple[int, int], name: Callable[[int], str], i: int
) -> "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]":
    if mode == "L" and image.mode not in GREY_MODES:
        raise _Colour
    if image.size != expected:
        raise DataError(
            f"{name(i)} is {image.width}x{image.height}, but {name(0)} is {expected[0]}x{expected[1]} "
            "(width x height); give all pictures one size, or set data.size where the source has it"
        )
    pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


def _read(picture: Encoded, name: str, size: int | None) -> Image.Image:
    try:
        image = Image.open(BytesIO(picture if isinstance(picture, bytes) else picture.read_bytes()))
        image.load()
    except UnidentifiedImageError as error:  # its own text is about a buffer of ours
        raise DataError(f"{name} cannot be read as a picture (of no known format); replace or remove it") from error
    except Exception as error:  # Pillow's decoders raise anything from OSError to SyntaxError for a broken file
        raise DataError(f"{name} cannot be read as a picture ({error}); replace or remove it") from error
    if image.mode.startswith(("I", "F")):
        raise DataError(f"{name} has more than 8 bits a channel (mode {image.mode}); convert it to 8 bits")
    if size is None or image.size == (size, size):
        return image
    return image.convert("L" if image.mode in GREY_MODES else "RGB").resize((size, size), Image.Resampling.BILINEAR)


def _workers(pictures: Sequence[Encoded]) -> int:
    sample = pictures[:: max(1, len(pictures) // 50)]
    mean = sum(len(p) if isinstance(p, bytes) else p.stat().st_size for p in sample) / len(sample)
    return (os.cpu_count() or 1) if mean > _BYTES_WORTH_A_THREAD else 1


def as_colour(images: Tensor) -> Tensor:
    """Grey pictures [N, 1, H, W] as [N, 3, H, W]; colour ones as they are."""
    return images.expand(-1, 3, -1, -1).contiguous() if images.shape[1] == 1 else images


def same_channels(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Two splits with equal channels: where only one of them is grey, it becomes colour."""
    if one.shape[1] == other.shape[1]:
        return one, other
    return as_colour(one), as_colour(other)


def decode_both(
    train: Sequence[Encoded],
    test: Sequence[Encoded],
    names: tuple[Callable[[int], str], Callable[[int], str]],
    size: int | None,
    progress: Progress,
) -> tuple[Tensor, Tensor]:
    """Two splits with one progress and equal channels; see `decode`."""
    total = len(train) + len(test)
    first = decode(train, names[0], size, lambda done, _: progress(done, total))
    second = decode(test, names[1], size, lambda done, _: progress(len(train) + done, total))
    return same_channels(first, second)
