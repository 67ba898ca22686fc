"""How many runs fit on this machine at once, and what each of them may use."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from gradscope.errors import JobError

SLOTS_VARIABLE = "GRADSCOPE_SLOTS"


@dataclass(frozen=True, kw_only=True)
class Slot:
    """Room for one run."""

    index: int
    gpu: str | None
    """As CUDA_VISIBLE_DEVICES names it; None on a machine without one."""
    threads: int
    """Processor cores of its own."""

    def environment(self, device: str) -> dict[str, str]:
        """The variables to start a run with, given its `train.device`; what the user set stays."""
        values = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(self.threads)}
        # somebody who wrote cuda:1 means the machine's second GPU, which a run that sees one GPU would not find
        if self.gpu is not None and not device.startswith("cuda:"):
            values |= {"CUDA_VISIBLE_DEVICES": self.gpu, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
        return values


def find_slots(environment: Mapping[str, str] = os.environ) -> list[Slot]:
    """One slot for each GPU, or one on a machine without; `GRADSCOPE_SLOTS` sets another number of them."""
    gpus = _gpus(environment)
    count = wished_slots(environment) or len(gpus) or 1
    threads = max(1, _cores() // count)
    return [Slot(index=i, gpu=gpus[i % len(gpus)] if gpus else None, threads=threads) for i in range(count)]


def wished_slots(environment: Mapping[str, str] = os.environ) -> int | None:
    """The number of `GRADSCOPE_SLOTS`, None if it is not set; JobError where it is no number from 1 to 64."""
    text = environment.get(SLOTS_VARIABLE, "").strip()
    if not text:
        return None
    if not (text.isdecimal() and 1 <= int(text) <= 64):
        raise JobError(f"{SLOTS_VARIABLE} is {text!r}; set it to the number of runs to train at once, from 1 to 64")
    return int(text)


def _gpus(environment: Mapping[str, str]) -> list[str]:
    allowed = environment.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name.strip() for name in allowed.split(",") if name.strip() not in {"", "-1"}]
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:  # no driver, so no GPU
        return []
    try:
        return [str(i) for i in range(pynvml.nvmlDeviceGetCount())]
    finally:
        pynvml.nvmlShutdown()


def _cores() -> int:
    # macOS cannot say which cores this process may use
    affinity = getattr(psutil.Process(), "cpu_affinity", None)
    return len(affinity()) if affinity else os.cpu_count() or 1
