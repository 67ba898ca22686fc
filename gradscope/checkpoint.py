"""A run's state on disk: the weights as safetensors for anybody, and one file with all that resuming needs.

Each file is written under another name and then renamed, so that a reader, or a machine that loses power, never meets
half a file. The file for resuming carries the weights once more: it is whole by itself, whatever became of the other.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from gradscope.errors import CheckpointError
from gradscope.paths import RunPaths

_RENAMED = {"best_val_accuracy": "best_val_score"}
"""Names in older checkpoints."""


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where in the training a checkpoint was taken."""

    step: int
    """Optimiser steps done."""
    seconds: float
    """Time trained so far, over all the times the run was started."""
    best_val_score: float | None
    """In 0..1: accuracy or mean average precision."""
    seen: int = 0
    """Training images of the epoch in progress, or of the one just done."""
    right: int = 0
    """Those of them that were classified right."""


class Keeper(Protocol):
    """Something beside model and optimiser that a resumed training needs as it was: a method."""

    def state_dict(self) -> Mapping[str, Any]:  # Any: tensors, numbers, text and containers of them
        """What is to be kept."""

    def load_state_dict(self, state: Mapping[str, Any]) -> object:  # Any: as above
        """Back to that."""


@dataclass(frozen=True, kw_only=True)
class About:
    """What a file of weights says of its network, so that it can teach another without the run it comes from."""

    model: dict[str, Any]  # Any: settings, as JSON
    methods: tuple[dict[str, Any], ...]
    """Of the run; some of them change the network."""
    normalise: str
    """How its pictures were normalised, see `gradscope.config.DataSettings`."""
    shape: tuple[int, int, int]
    """Channels, height and width of a picture."""
    classes: tuple[str, ...]

    def metadata(self) -> dict[str, str]:
        """As safetensors keeps it."""
        return {"gradscope": json.dumps(asdict(self))}

    @classmethod
    def of(cls, metadata: Mapping[str, str] | None) -> "About | None":
        """From there; None in a file that GradScope did not write, or an older one."""
        if not metadata or "gradscope" not in metadata:
            return None
        known = json.loads(metadata["gradscope"])
        lists = {name: tuple(known[name]) for name in ("methods", "shape", "classes")}
        return cls(**{**known, **lists})


def save(
    paths: RunPaths,
    model: nn.Module,
    optimizer: Optimizer,
    position: Position,
    keepers: Sequence[Keeper] = (),
    about: About | None = None,
) -> None:
    """Write a checkpoint in place of the one before."""
    paths.folder.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    state = {
        "position": asdict(position),
        "model": weights,
        "optimizer": optimizer.state_dict(),
        "methods": [dict(keeper.state_dict()) for keeper in keepers],
        "random": torch.get_rng_state(),
    }
    _write(paths.resume, lambda path: torch.save(state, path))
    said = {"step": str(position.step), **(about.metadata() if about else {})}
    _write(paths.model, lambda path: save_file(weights, path, metadata=said))


def exists(paths: RunPaths) -> bool:
    """Whether there is a checkpoint to go on from."""
    return paths.resume.exists()


def load(paths: RunPaths, model: nn.Module, optimizer: Optimizer, keepers: Sequence[Keeper] = ()) -> Position:
    """Put model, optimiser, the keepers it was saved with and PyTorch's random state back to where they were.

    Raises:
        CheckpointError: the file is torn or of another model; nothing was changed.
    """
    state = _read(paths.resume)
    put_weights(paths.resume, model, state["model"])
    optimizer.load_state_dict(state["optimizer"])
    for keeper, kept in zip(keepers, state.get("methods", ()), strict=False):  # older checkpoints have none
        keeper.load_state_dict(kept)
    torch.set_rng_state(state["random"])
    return Position(**{_RENAMED.get(name, name): value for name, value in state["position"].items()})


def load_weights(paths: RunPaths, model: nn.Module) -> int:
    """Give the network the weights of the last checkpoint; returns the optimiser steps they took.

    Raises:
        CheckpointError: there is no checkpoint, it is torn or of another model; nothing was changed.
    """
    if not paths.model.exists():
        raise CheckpointError(f"there is no checkpoint {paths.model}; train the run for at least one epoch")
    weights, metadata = read_weights(paths.model)
    put_weights(paths.model, model, weights)
    return int(metadata["step"])


def read_weights(path: Path) -> tuple[dict[str, Tensor], Mapping[str, str]]:
    """The weights in a safetensors file by name, on the CPU, and what the file says of itself.

    Raises:
        CheckpointError: there is no such file, or it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  (it is no dict)
            return weights, file.metadata() or {}
    except FileNotFoundError:
        raise CheckpointError(f"there is no file of weights {path}; name one that exists") from None
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"the checkpoint {path} cannot be read ({error}); use another") from error


def weights_hash(paths: RunPaths) -> str:
    """BLAKE2b hash of the last checkpoint's weights, 32 hexadecimal digits: equal hashes, equal networks."""
    with paths.model.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def put_weights(path: Path, model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give a network the weights that were read from there; CheckpointError where they are of another."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        reasons = " ".join(line.strip() for line in str(error).splitlines()[1:])
        raise CheckpointError(f"the checkpoint {path} is of another model ({reasons}); start a new run") from error


def _read(path: Path) -> dict[str, Any]:  # Any: what torch.save keeps
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch.load raises whatever its unpickler meets in a torn file
        raise CheckpointError(f"the checkpoint {path} cannot be read ({error}); start a new run") from error
    return state


def _write(path: Path, write: Callable[[Path], object]) -> None:
    beside = path.with_name(path.name + ".part")
    write(beside)
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(path)
