"""What the Triton kernel counts, run by Triton's interpreter in a process of its own: `interpreted.py TENSORS ROWS`.

Whether kernels are compiled or interpreted is settled for a whole process when Triton is first imported.
"""

import os
import subprocess
import sys
from pathlib import Path

import torch


def interpreted_rows(tensors, folder):
    """What `gradscope.recorder.cuda.measure` returns for tensors in CPU memory."""
    torch.save(tensors, folder / "tensors.pt")
    command = [sys.executable, __file__, folder / "tensors.pt", folder / "rows.pt"]
    subprocess.run(command, env={**os.environ, "TRITON_INTERPRET": "1"}, check=True)
    return torch.load(folder / "rows.pt").numpy()


if __name__ == "__main__":
    from gradscope.recorder import cuda

    torch.save(cuda.measure(torch.load(Path(sys.argv[1]))), Path(sys.argv[2]))
