"""The files that hold attributions: arrays that need no torch to be read, small enough to keep.

A map is kept as float16 shares of its greatest value, which loses a two-thousandth of that value, and the greatest
value itself as float32, so that the maps of a network whose gradient vanished are kept as well as any.
"""

import os
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradscope.errors import StoreDamaged

Floats = NDArray[np.floating[Any]]  # Any: float16 in the file, float32 in memory
Ints = NDArray[np.integer[Any]]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """What a network answers to every test picture."""

    labels: Ints
    """[N]: the true classes."""
    probabilities: Floats
    """float32 [N, K]."""
    classes: tuple[str, ...]
    """Names of the K classes."""
    fingerprint: str
    """Of the data set: equal fingerprints and equal N, the same pictures in the same places."""

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        _write(path, {**_arrays(self), "probabilities": self.probabilities.astype(np.float16)})

    @classmethod
    def load(cls, path: Path) -> "Predictions":
        """Read a file that `save` wrote; StoreDamaged when it cannot be read."""
        found = _read(path)
        return cls(
            labels=found["labels"],
            probabilities=found["probabilities"].astype(np.float32),
            classes=tuple(str(name) for name in found["classes"]),
            fingerprint=str(found["fingerprint"]),
        )


@dataclass(frozen=True, kw_only=True)
class Attributions:
    """The maps of one method on N test pictures, with what a page shows beside them."""

    places: Ints
    """[N]: where the pictures stand in the test split."""
    images: NDArray[np.uint8]
    """[N, C, H, W]."""
    labels: Ints
    """[N]."""
    probabilities: Floats
    """[N, K]."""
    targets: Ints
    """[N]: the class that each map explains."""
    maps: Floats
    """float32 [N, C, H, W], or [N, 1, H, W] where the method knows no channels."""
    totals: Floats
    """[N]: the sum over each map, as it was computed."""
    differences: Floats
    """[N]: what the sum promises to be; NaN where nothing is promised."""
    logits: Floats
    """[N]: the explained logit."""
    object_mask: Bools | None = None
    """[N, H, W], of generated pictures."""
    contour_mask: Bools | None = None
    """[N, H, W], of generated pictures."""

    def __len__(self) -> int:
        return len(self.places)

    def take(self, rows: Ints) -> "Attributions":
        """The maps of these rows."""
        present = {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) is not None}
        return replace(self, **{name: array[rows] for name, array in present.items()})

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        peaks = np.abs(self.maps).reshape(len(self), -1).max(axis=1, initial=0.0).astype(np.float32)
        shares = self.maps / np.where(peaks > 0, peaks, 1.0)[:, None, None, None]
        _write(path, {**_arrays(self), "maps": shares.astype(np.float16), "peaks": peaks})

    @classmethod
    def load(cls, path: Path) -> "Attributions":
        """Read a file that `save` wrote; StoreDamaged when it cannot be read."""
        found = _read(path)
        maps = found["maps"].astype(np.float32) * found.pop("peaks")[:, None, None, None]
        return cls(**{**found, "maps": maps})


def joined(parts: Sequence[Attributions]) -> Attributions:
    """The maps of several files, one after the other; at least one."""
    present = [f.name for f in fields(Attributions) if getattr(parts[0], f.name) is not None]
    return replace(parts[0], **{name: np.concatenate([getattr(part, name) for part in parts]) for name in present})


@dataclass(frozen=True, kw_only=True)
class Checks:
    """Whether the maps of N test pictures can be trusted."""

    places: Ints
    """[N]."""
    deletion: Floats
    """[N] in 0..1: area under the class's probability while the pixels of most evidence go; small is good."""
    insertion: Floats
    """[N] in 0..1: the same while they come; large is good."""
    sanity: Floats
    """[N] in -1..1: rank correlation with the map of random weights; near 0 is good, NaN where it cannot be told."""

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        _write(path, _arrays(self))

    @classmethod
    def load(cls, path: Path) -> "Checks":
        """Read a file that `save` wrote; StoreDamaged when it cannot be read."""
        return cls(**_read(path))


def _arrays(value: Any) -> dict[str, NDArray[Any]]:  # Any: one of the dataclasses above, arrays of several types
    return {f.name: np.asarray(found) for f in fields(value) if (found := getattr(value, f.name)) is not None}


def _write(path: Path, arrays: dict[str, NDArray[Any]]) -> None:  # Any: arrays of several types
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{os.getpid()}.part")  # two tasks may compute the same
    with beside.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # no array is called allow_pickle
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _read(path: Path) -> dict[str, NDArray[Any]]:  # Any: as above
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise StoreDamaged(
            f"the attributions in {path} cannot be read ({error}); remove that file, then compute them again"
        ) from error
