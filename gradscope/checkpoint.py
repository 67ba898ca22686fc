"""A run's state on disk: the weights as safetensors for anybody, and beside them what only resuming needs.

Each file is written under another name and then renamed, so that a reader, or a machine that loses power, never meets
half a file. The weights are renamed last and carry the step they belong to; a pair of different steps is refused.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import Optimizer

from gradscope.errors import CheckpointError
from gradscope.paths import RunPaths


@dataclass(frozen=True, kw_only=True)
class Position:
    """Where in the training a checkpoint was taken."""

    step: int
    """Optimiser steps done."""
    seconds: float
    """Time trained so far, over all the times the run was started."""
    best_val_accuracy: float | None


def save(paths: RunPaths, model: nn.Module, optimizer: Optimizer, position: Position) -> None:
    """Write a checkpoint in place of the one before."""
    paths.folder.mkdir(parents=True, exist_ok=True)
    state = {
        "position": vars(position),
        "optimizer": optimizer.state_dict(),
        "random": torch.get_rng_state(),
    }
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    _write(paths.resume, lambda path: torch.save(state, path))
    _write(paths.model, lambda path: save_file(weights, path, metadata={"step": str(position.step)}))


def exists(paths: RunPaths) -> bool:
    """Whether there is a checkpoint to go on from."""
    return paths.model.exists() and paths.resume.exists()


def load(paths: RunPaths, model: nn.Module, optimizer: Optimizer) -> Position:
    """Put model and optimiser back to where they were; raises CheckpointError when the files do not fit."""
    load_weights(paths.model, model)
    state = _read_resume(paths.resume)
    position = Position(**state["position"])
    with safe_open(paths.model, framework="pt") as file:
        step = (file.metadata() or {}).get("step")
    if step != str(position.step):
        raise CheckpointError(
            f"the checkpoint in {paths.folder} is of two different steps ({step} and {position.step}); "
            f"delete {paths.resume.name} and {paths.model.name} there to start the run from its beginning"
        )
    optimizer.load_state_dict(state["optimizer"])
    torch.set_rng_state(state["random"])
    return position


def load_weights(path: Path, model: nn.Module) -> None:
    """Load a network's weights from a safetensors file; raises CheckpointError that says what does not fit."""
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"the checkpoint {path} cannot be read ({error}); restore it or start a new run"
        ) from error
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        lines = [line.strip() for line in str(error).splitlines()[1:]]
        raise CheckpointError(f"the checkpoint {path} is of another model: {' '.join(lines)}") from error


def _read_resume(path: Path) -> dict[str, Any]:  # Any: what torch.save keeps
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
