"""The only place that knows file names: where a store keeps its runs, and what lies in a run's folder."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

STORE_VARIABLE = "GRADSCOPE_STORE"
DATA_VARIABLE = "GRADSCOPE_DATA"
DEFAULT_STORE = "runs.db"


def store_name(given: str | os.PathLike[str] | None = None) -> str:
    """The store to use: what was given, else `GRADSCOPE_STORE`, else `runs.db` here. A path or a database URL."""
    return os.fspath(given) if given else os.environ.get(STORE_VARIABLE) or DEFAULT_STORE


def is_url(store: str) -> bool:
    """Whether the store is named by a database URL and not by a file's path."""
    return "://" in store


def shown(store: str) -> str:
    """The store's name for people: a URL without its password."""
    return re.sub(r"(://[^:/@]*):[^@]*@", r"\1:***@", store)


def runs_folder(store: str) -> Path:
    """The folder of the run folders: `runs/` beside runs.db, `x.db.runs/` beside x.db, `runs/` here for a server's."""
    if is_url(store):
        return Path("runs").absolute()
    file = Path(store).absolute()
    # named after the file: two stores in one folder both have a run 1. With the whole name: `data/` beside data.db may
    # be somebody's folder of pictures, one class of them called 1
    return file.with_name("runs" if file.name == DEFAULT_STORE else f"{file.name}.runs")


def supervisor_lock(store: str) -> Path:
    """The file whose lock the store's one supervisor holds: beside the store, or in the runs folder of a server's."""
    return runs_folder(store) / "supervisor.lock" if is_url(store) else Path(f"{Path(store).absolute()}.lock")


def supervisor_log(store: str) -> Path:
    """What the supervisor printed."""
    return runs_folder(store) / "supervisor.log"


def workbench_log(store: str) -> Path:
    """What the process that computes for pages printed."""
    return runs_folder(store) / "workbench.log"


def data_folder() -> Path:
    """Where downloaded data sets are kept: `GRADSCOPE_DATA`, else `data/` here."""
    return Path(os.environ.get(DATA_VARIABLE) or "data").absolute()


@dataclass(frozen=True, kw_only=True)
class ProcessPaths:
    """What a process of the queue leaves on disk."""

    folder: Path

    @property
    def log(self) -> Path:
        """What the process printed, standard output and error together."""
        return self.folder / "log.txt"

    @property
    def worker(self) -> Path:
        """Which process is at work: its id, its birth and its slot, for a supervisor that was started anew."""
        return self.folder / "worker.json"


@dataclass(frozen=True, kw_only=True)
class RunPaths(ProcessPaths):
    """Everything a run leaves on disk, below `runs/<id>/`."""

    @classmethod
    def of(cls, store: str, run_id: int) -> "RunPaths":
        """The paths of a run of a store."""
        return cls(folder=runs_folder(store) / str(run_id))

    def task(self, task_id: int) -> ProcessPaths:
        """The paths of a task on the run, below `runs/<id>/tasks/<task>/`."""
        return ProcessPaths(folder=self.folder / "tasks" / str(task_id))

    def attributions(self, name: str) -> Path:
        """One file of attributions, below `runs/<id>/attributions/`."""
        return self.folder / "attributions" / f"{name}.npz"

    def predictions(self, fingerprint: str) -> Path:
        """What the network of that fingerprint answers to every test picture."""
        return self.attributions(f"predictions-{fingerprint}")

    @property
    def first_batch(self) -> Path:
        """The pictures of step 0 as the network saw them, safetensors."""
        return self.folder / "first_batch.safetensors"

    def exit_answers(self, fingerprint: str, images: int) -> Path:
        """What every exit of the network of that fingerprint answers to so many test pictures."""
        return self.folder / "exits" / f"{fingerprint}-{images}.npz"

    @property
    def cure(self) -> Path:
        """The path of the latest search for a cure."""
        return self.folder / "cure.json"

    @property
    def model(self) -> Path:
        """The network's weights at the last checkpoint, safetensors."""
        return self.folder / "model.safetensors"

    @property
    def resume(self) -> Path:
        """What else resuming needs: optimiser, schedule, random states, counters."""
        return self.folder / "resume.pt"
