"""What a run ran on: without it a picture is a rumour."""

import importlib.metadata
import os
import platform
import socket
import subprocess

import torch

from gradscope.records import Provenance

PACKAGES = ("torch", "numpy", "gradscope")


def provenance(
    device: torch.device | None = None, *, seed: int | None = None, data_fingerprint: str | None = None
) -> Provenance:
    """Of this process, here and now; what only the caller can know is handed in."""
    return Provenance(
        seed=seed,
        git_commit=git_commit(),
        versions=versions(),
        device=None if device is None else device_name(device),
        host=socket.gethostname(),
        pid=os.getpid(),
        data_fingerprint=data_fingerprint,
    )


def device_name(device: torch.device) -> str:
    """Such as `cpu` or `cuda:0 (NVIDIA H100)`."""
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def versions() -> dict[str, str]:
    """Version of Python and of each of PACKAGES that is installed."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # used from a source tree that was never installed
            continue
    return found


def git_commit() -> str | None:
    """Commit of the working directory, with `-dirty` where tracked files differ from it; None outside a repository."""
    commit = _git("rev-parse", "HEAD")
    if commit is None:
        return None
    return f"{commit}-dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit


def _git(*words: str) -> str | None:
    try:
        answer = subprocess.run(["git", *words], capture_output=True, text=True, timeout=2, check=True)
    except (OSError, subprocess.SubprocessError):  # no git here, no repository, or one too slow to wait for
        return None
    return answer.stdout.strip()
