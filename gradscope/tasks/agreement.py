"""A student beside its teacher: the task `agreement`."""

import hashlib
from pathlib import Path

import torch
from torch import Tensor, nn

from gradscope.config import Distillation, Settings, distillation_in
from gradscope.config.agreement import Agreement
from gradscope.data import Split
from gradscope.data.splits import stratified_order
from gradscope.distilled import Distilled
from gradscope.errors import ConfigError
from gradscope.evaluate.agreement import divergence, logits_of, milliseconds, same_answers
from gradscope.measured import Task
from gradscope.models.sizes import n_macs
from gradscope.process import pick_device
from gradscope.store import Store, read_distilled, write_distilled
from gradscope.tasks.exits import device_name
from gradscope.tasks.report import Report
from gradscope.teachers import load_teacher, named_teacher
from gradscope.trained import Trained, load_trained


def measure_agreement(store: Store, task: Task, report: Report) -> None:
    """Compare a run with the teacher that its settings name; what is known is not measured again.

    Raises:
        ConfigError: the run has no teacher.
        RunNotFound, CheckpointError: the teacher is not there any more.
    """
    settings = Agreement.model_validate(task.settings)
    device = pick_device(settings.device)
    trained = load_trained(store, task.run_id, device, lambda done, total: report(0, None, "loading data"))
    wanted = distillation_in(trained.config.methods)
    if wanted is None:
        raise ConfigError(f"run {task.run_id} has no teacher to be compared with; choose one with a method kd_...")
    pair = _Pair(store, trained, wanted, settings)
    if not pair.is_known(store, task.run_id):
        write_distilled.distilled(store, task.run_id, pair.measured(report))


class _Pair:
    """A student, its teacher, and the pictures they are compared on."""

    def __init__(self, store: Store, trained: Trained, wanted: Distillation, settings: Agreement) -> None:
        self.trained, self.wanted, self.settings = trained, wanted, settings
        self.named = named_teacher(store, wanted)
        self.teacher = load_teacher(store, wanted, trained.config, trained.data).to(trained.device)
        self.teacher_fingerprint = _hash(self.named.path)
        self.split = _some(trained.data.test, settings.images)

    def is_known(self, store: Store, run_id: int) -> bool:
        """Whether these weights were compared on these pictures already."""
        known = read_distilled.distilled(store, [run_id])
        ours = (self.trained.fingerprint, self.teacher_fingerprint, len(self.split))
        return ours in set(zip(known["fingerprint"], known["teacher_fingerprint"], known["images"], strict=True))

    def measured(self, report: Report) -> Distilled:
        """Everything there is to say of the two."""
        trained, n = self.trained, len(self.split)
        report(0, 2 * n, "answering")
        mine = logits_of(trained.model, self.split, trained.normalise)
        report(n, 2 * n, "answering")
        theirs = logits_of(self.teacher, self.split, trained.normalise)
        report(2 * n, 2 * n, "taking the time")
        return Distilled(
            fingerprint=trained.fingerprint,
            teacher_fingerprint=self.teacher_fingerprint,
            images=n,
            step=trained.step,
            teacher_run=self.wanted.teacher_run,
            agreement=same_answers(mine, theirs),
            divergences={f"{t:g}": divergence(mine, theirs, t) for t in self.settings.temperatures},
            accuracy=_accuracy(mine, self.split),
            teacher_accuracy=_accuracy(theirs, self.split),
            parameters=_size(trained.model),
            teacher_parameters=_size(self.teacher),
            macs=_macs(trained.config.model, trained),
            teacher_macs=_macs(self.named.config.model, trained),
            milliseconds=_times(trained.model, trained, self.settings),
            teacher_milliseconds=_times(self.teacher, trained, self.settings),
            device=device_name(trained.device),
        )


def _some(test: Split, images: int | None) -> Split:
    order = stratified_order(test.labels.cpu(), torch.Generator().manual_seed(0))
    return test.take(order[: images or len(test)].to(test.labels.device))


def _accuracy(logits: Tensor, split: Split) -> float:
    return float((logits.argmax(1) == split.labels).double().mean())


def _times(net: nn.Module, trained: Trained, settings: Agreement) -> dict[str, float]:
    pictures = trained.data.test.images
    found = {}
    for size in settings.batch_sizes:
        places = torch.arange(size, device=pictures.device) % len(pictures)
        found[str(size)] = milliseconds(net, trained.normalise(pictures[places]), settings.passes)
    return found


def _size(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def _macs(settings: Settings, trained: Trained) -> int:
    return n_macs(settings, trained.data.shape, len(trained.data.classes))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
