"""The task `explain`: attributions of test pictures, each computed once for a checkpoint, method and target."""

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np
import torch
from torch import nn

from gradscope.analysis.image_sets import chosen
from gradscope.attributions import Checks
from gradscope.config.attributions import AnyAttribution
from gradscope.config.explaining import Explain
from gradscope.errors import AttributionError
from gradscope.explain import subject
from gradscope.explain.attribute import attribute
from gradscope.explain.faithfulness import areas
from gradscope.explain.sanity import similarity_to_random
from gradscope.measured import Attribution, Part, Task
from gradscope.process import pick_device
from gradscope.store import Store, read_attributions, write_attributions
from gradscope.tasks.report import Report
from gradscope.trained import Trained, load_trained, untrained

CHUNK = 16
"""Pictures in a file: what a stop loses, and how often progress is reported."""


def explain(store: Store, task: Task, report: Report) -> None:
    """Compute what the store does not hold yet; that a method cannot explain the network is kept as well."""
    wanted = Explain.model_validate(task.settings)
    report(0, None, "loading data")
    trained = load_trained(store, task.run_id, pick_device(wanted.device))
    report(0, None, "asking the network")
    work = _Explaining(store, trained, wanted, _places(store, trained, wanted, report))
    total, done = sum(len(part.places) for part in work.parts), 0
    for part in work.parts:
        for start in range(0, len(part.places), CHUNK):
            report(done, total, part.settings.title)
            places = part.places[start : start + CHUNK]
            part.compute(part.settings, places)
            done += len(places)
    report(done, total, "done")


def _places(store: Store, trained: Trained, wanted: Explain, report: Report) -> list[int]:
    """The test pictures of the wanted set; those that depend on what runs answer, the same for each of the runs."""
    own = subject.answers_of(store, trained)
    subject.check_target(wanted.target, own.classes)
    answers = {trained.run_id: own.probabilities}
    if wanted.images.asks_the_runs:
        for run_id in {*wanted.beside} - {trained.run_id}:
            report(0, None, f"asking run {run_id}")
            other = subject.answers_of(store, load_trained(store, run_id, trained.device))
            subject.check_same_pictures(trained.run_id, own, run_id, other)
            answers[run_id] = other.probabilities
    labels = np.asarray(own.labels, np.int64)
    return [int(place) for place in chosen(wanted.images, labels, [answers[run_id] for run_id in sorted(answers)])]


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One method's maps, or their checks."""

    settings: AnyAttribution
    places: Sequence[int]
    compute: Callable[[AnyAttribution, Sequence[int]], None]


class _Explaining:
    """A run's network at work on its test pictures."""

    def __init__(self, store: Store, trained: Trained, wanted: Explain, places: Sequence[int]) -> None:
        self._store, self._trained, self._wanted = store, trained, wanted
        self._compared = subject.references(trained)
        self._refused: set[AnyAttribution] = set()
        kinds = [(Part.MAPS, self._maps), *([(Part.CHECKS, self._checks)] if wanted.checks else [])]
        self.parts = [
            _Part(settings=settings, places=missing, compute=compute)
            for kind, compute in kinds
            for settings in wanted.methods
            if (missing := read_attributions.missing(self._known(settings, kind), places))
        ]

    def _known(self, settings: AnyAttribution, part: Part) -> list[Attribution]:
        run_id, target = self._trained.run_id, str(self._wanted.target)
        known = read_attributions.attributions(self._store, [run_id])
        now = [one for one in known if one.fingerprint == self._trained.fingerprint]
        return read_attributions.of(now, run_id, settings.model_dump_json(), target, part)

    def _maps(self, settings: AnyAttribution, places: Sequence[int]) -> None:
        """Compute and keep the maps of some pictures, or note why the method cannot."""
        if settings in self._refused:
            return
        began = time.perf_counter()
        asked, probabilities = subject.question(self._trained, self._compared, self._wanted.target, places)
        try:
            found = attribute(settings, asked)
        except AttributionError as error:
            self._refused.add(settings)
            if not self._known(settings, Part.REFUSAL):
                self._note(settings, Part.REFUSAL, began, refusal=str(error))
            return
        name = f"{settings.name}-{uuid.uuid4().hex[:12]}"
        kept = subject.kept(self._trained, places, asked, probabilities, found)
        kept.save(self._store.paths(self._trained.run_id).attributions(name))
        self._note(settings, Part.MAPS, began, places, name)

    def _checks(self, settings: AnyAttribution, places: Sequence[int]) -> None:
        """Compute and keep whether maps that are there can be trusted."""
        began = time.perf_counter()
        there = read_attributions.maps(self._store, self._known(settings, Part.MAPS), places)
        if there is None:
            return
        places = [int(place) for place in there.places]
        asked, _ = subject.question(self._trained, self._compared, self._wanted.target, places)
        maps = torch.from_numpy(there.maps).to(self._trained.device)
        found = areas(asked, maps)
        name = f"checks-{settings.name}-{uuid.uuid4().hex[:12]}"
        Checks(
            places=there.places,
            deletion=found.deletion.cpu().numpy(),
            insertion=found.insertion.cpu().numpy(),
            sanity=similarity_to_random(settings, asked, maps, self._random_network),
        ).save(self._store.paths(self._trained.run_id).attributions(name))
        self._note(settings, Part.CHECKS, began, places, name)

    @cached_property
    def _random_network(self) -> nn.Module:
        """The same architecture with weights that were never trained, of another seed."""
        config = self._trained.config
        return untrained(config, self._trained.data, config.train.seed + 1).to(self._trained.device).eval()

    def _note(
        self,
        settings: AnyAttribution,
        part: Part,
        began: float,
        places: Sequence[int] = (),
        file: str | None = None,
        refusal: str | None = None,
    ) -> None:
        found = Attribution(
            run_id=self._trained.run_id,
            fingerprint=self._trained.fingerprint,
            step=self._trained.step,
            part=part,
            method=settings.model_dump_json(),
            target=str(self._wanted.target),
            places=tuple(places),
            file=file,
            refusal=refusal,
            seconds=time.perf_counter() - began,
            created=datetime.now(UTC),
        )
        write_attributions.add(self._store, found)
