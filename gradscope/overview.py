"""What is known of the attributions of some runs: read, chosen by the same rule as they are computed, and scored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pandas as pd

from gradscope.analysis import scores
from gradscope.analysis.completeness import pooled_error
from gradscope.analysis.image_sets import chosen
from gradscope.analysis.scores import Cell
from gradscope.attributions import Attributions, Checks, Predictions
from gradscope.config.attributions import label_of, parse_attribution
from gradscope.config.explaining import Explain
from gradscope.measured import Attribution, Part
from gradscope.records import Run
from gradscope.store import Store, read, read_attributions


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Some runs, some methods, one set of test pictures."""

    wanted: Explain
    runs: tuple[Run, ...]
    answers: dict[int, Predictions]
    """What each run's network answers, where it was asked; all to the same pictures."""
    other_pictures: tuple[int, ...]
    """Runs that were tested on other pictures than the first, and hence cannot stand beside it."""
    places: tuple[int, ...]
    """The pictures of the set, in its order; empty where no network was asked yet."""
    maps: dict[Cell, Attributions]
    checks: dict[Cell, Checks]
    refusals: dict[Cell, str]
    """Why a method cannot explain a run's network."""
    steps: dict[int, int]
    """Optimiser steps behind the network that was explained."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Seconds a picture took by each method, over all runs, as JSON of its settings."""

    @property
    def methods(self) -> tuple[str, ...]:
        """JSON of the settings of each method."""
        return tuple(method.model_dump_json() for method in self.wanted.methods)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; empty where no network was asked yet."""
        return next((known.classes for known in self.answers.values()), ())

    def lacking(self, checks: bool = False) -> dict[Cell, int]:
        """How many maps (or checks) of the set each run and method still lacks; refused ones lack nothing."""
        there = self.checks if checks else self.maps
        cells = [(run.id, method) for run in self.runs for method in self.methods]
        counts = {
            cell: len(self.places) - len(there[cell].places) if cell in there else len(self.places)
            for cell in cells
            if cell not in self.refusals and cell[0] not in self.other_pictures
        }
        return {cell: n for cell, n in counts.items() if n or not self.places}

    @cached_property
    def gaps(self) -> dict[Cell, float]:
        """By what share the maps of a cell together miss the sums they promise; only of methods that promise one."""
        errors = {cell: pooled_error(m.totals, m.differences, m.logits) for cell, m in self.maps.items()}
        return {cell: error for cell, error in errors.items() if error is not None}

    @cached_property
    def titles(self) -> dict[str, str]:
        """What each method may be called, by its JSON: not SHAP where the maps of a run miss their sums by over 1 %."""
        worst = {m: max((g for (_, of), g in self.gaps.items() if of == m), default=None) for m in self.methods}
        return {method: label_of(parse_attribution(method), gap) for method, gap in worst.items()}

    @cached_property
    def pictures(self) -> dict[Cell, pd.DataFrame]:
        """Every score of every picture; see `scores.per_picture`."""
        return {cell: scores.per_picture(maps, self.checks.get(cell)) for cell, maps in self.maps.items()}

    @cached_property
    def summary(self) -> pd.DataFrame:
        """Mean and interval of every score; columns `scores.SUMMARY_COLUMNS`."""
        first = next(iter(self.maps.values()), None)
        return scores.summary(self.pictures, {} if first is None else scores.even(first))

    @cached_property
    def differences(self) -> pd.DataFrame:
        """Every run less the first one, picture by picture; columns `scores.DIFFERENCE_COLUMNS`."""
        return scores.differences(self.pictures, self.runs[0].id)

    @cached_property
    def agreement(self) -> pd.DataFrame:
        """Rank correlation between the maps of the runs; see `scores.agreement`."""
        return scores.agreement(self.maps)


def overview(store: Store, run_ids: Sequence[int], wanted: Explain) -> Overview:
    """Gather what the store holds; computes nothing.

    Args:
        store: where the runs are.
        run_ids: at least one; pictures are chosen by what those answer that were tested on the same ones as the first.
        wanted: methods, target and pictures; whom they are chosen `beside` is `run_ids` here.

    Raises:
        RunNotFound: there is no such run.
        StoreDamaged: a file of attributions is torn.
    """
    runs = tuple(read.run(store, run_id) for run_id in run_ids)
    every = read_attributions.attributions(store, run_ids)
    known = read_attributions.latest(every)
    answers, others = _answers(store, runs, known)
    labels = next((np.asarray(a.labels, np.int64) for a in answers.values()), np.zeros(0, np.int64))
    beside = [answers[run_id].probabilities for run_id in sorted(answers)]
    places = tuple(int(place) for place in chosen(wanted.images, labels, beside if wanted.images.asks_the_runs else []))
    cells = [(run_id, m.model_dump_json()) for run_id in answers for m in wanted.methods]
    target = str(wanted.target)
    maps = {c: read_attributions.maps(store, _of(known, c, target, Part.MAPS), places) for c in cells}
    checks = {c: read_attributions.checks(store, _of(known, c, target, Part.CHECKS), places) for c in cells}
    refusals = {c: read_attributions.refusal(known, *c) for c in cells}
    return Overview(
        wanted=wanted,
        runs=runs,
        answers=answers,
        other_pictures=others,
        places=places,
        maps={c: found for c, found in maps.items() if found is not None and len(found)},
        checks={c: found for c, found in checks.items() if found is not None and len(found.places)},
        refusals={c: text for c, text in refusals.items() if text is not None},
        steps={one.run_id: one.step for one in known},
        seconds=_seconds(every),
    )


def _of(known: Sequence[Attribution], cell: Cell, target: str, part: Part) -> list[Attribution]:
    return read_attributions.of(known, cell[0], cell[1], target, part)


def _answers(
    store: Store, runs: Sequence[Run], known: Sequence[Attribution]
) -> tuple[dict[int, Predictions], tuple[int, ...]]:
    """What the runs answer to the test pictures of the first of them, and those that are tested on other ones."""
    prints = {one.run_id: one.fingerprint for one in known}
    asked = {run.id: read_attributions.predictions(store, run.id, prints[run.id]) for run in runs if run.id in prints}
    there = {i: found for i, found in asked.items() if found is not None}
    kinds = {i: (found.fingerprint, len(found.labels)) for i, found in there.items()}
    first = next(iter(kinds.values()), None)
    pictures = {run.id: _pictures(run) for run in runs}
    others = {i for i in pictures if pictures[i] != pictures[runs[0].id] or kinds.get(i, first) != first}
    return {i: found for i, found in there.items() if i not in others}, tuple(i for i in pictures if i in others)


def _pictures(run: Run) -> tuple[tuple[str, str], ...]:
    """The settings that decide which test pictures there are."""
    data = run.config.get("data")
    known = data if isinstance(data, dict) else {}
    return tuple((k, str(v)) for k, v in sorted(known.items()) if k not in {"val_fraction", "normalise", "augment"})


def _seconds(known: Sequence[Attribution]) -> dict[str, float]:
    found: dict[str, tuple[float, int]] = {}
    for one in known:
        if one.part is Part.MAPS:
            seconds, n = found.get(one.method, (0.0, 0))
            found[one.method] = seconds + one.seconds, n + len(one.places)
    return {method: seconds / n for method, (seconds, n) in found.items() if n}
