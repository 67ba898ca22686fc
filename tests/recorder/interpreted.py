"""What the Triton kernel counts, run by Triton's interpreter in a process of its own: `interpreted.py TENSORS ROWS`.

Whether kernels are compiled or interpreted is settled for a whole process when Triton is first imported.
"""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import torch


def interpreted_rows(tensors, folder):
    """What `gradscope.recorder.cuda.measure` returns for tensors in CPU memory."""
    torch.save(tensors, folder / "tensors.pt")
    command = [sys.executable, __file__, folder / "tensors.pt", folder / "rows.pt"]
    done = subprocess.run(
        command, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True, check=False
    )
    if done.returncode and "only 0-dimensional arrays can be converted" in done.stderr:
        versions = f"Triton {metadata.version('triton')} does not run on NumPy {metadata.version('numpy')}"
        pytest.skip(f"the interpreter of {versions}; compiled kernels do not use it")
    assert done.returncode == 0, done.stderr
    return torch.load(folder / "rows.pt").numpy()


if __name__ == "__main__":
    from gradscope.recorder import cuda

    torch.save(cuda.measure(torch.load(Path(sys.argv[1]))), Path(sys.argv[2]))
