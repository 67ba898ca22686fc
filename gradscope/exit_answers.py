"""The file that holds what every exit of a network answers to test pictures; it needs no torch to be read."""

import os
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gradscope.errors import StoreDamaged

Floats = NDArray[np.floating[Any]]  # Any: float16 in the file, float32 in memory
Ints = NDArray[np.integer[Any]]


@dataclass(frozen=True, kw_only=True)
class ExitAnswers:
    """Of one checkpoint."""

    labels: Ints
    """[N]: the true classes."""
    answers: Ints
    """[E, N]: the class that each exit says."""
    confidence: Floats
    """float32 [E, N]: its probability."""
    entropy: Floats
    """float32 [E, N], in nats."""
    images: NDArray[np.uint8]
    """[M, C, H, W], the first M of the N pictures."""
    classes: tuple[str, ...]
    """Names of the K classes."""

    def save(self, path: Path) -> None:
        """Write the file, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f"{path.name}.{os.getpid()}.part")  # two tasks may compute the same
        with beside.open("wb") as file:
            np.savez_compressed(
                file,
                labels=self.labels.astype(np.int32),
                answers=self.answers.astype(np.int32),
                confidence=self.confidence.astype(np.float16),
                entropy=self.entropy.astype(np.float16),
                images=self.images,
                classes=np.asarray(self.classes),
            )
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)

    @classmethod
    def load(cls, path: Path) -> "ExitAnswers":
        """Read a file that `save` wrote; StoreDamaged when it cannot be read."""
        try:
            with np.load(path, allow_pickle=False) as file:
                found = {name: file[name] for name in file.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise StoreDamaged(
                f"the exits' answers in {path} cannot be read ({error}); remove that file, then measure the exits again"
            ) from error
        return cls(
            labels=found["labels"],
            answers=found["answers"],
            confidence=found["confidence"].astype(np.float32),
            entropy=found["entropy"].astype(np.float32),
            images=found["images"],
            classes=tuple(str(name) for name in found["classes"]),
        )
