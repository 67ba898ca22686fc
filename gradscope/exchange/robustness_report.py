"""The robustness of runs as Markdown: every figure with the settings that give it again, and pictures beside it."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from gradscope.analysis.intervals import Interval, paired
from gradscope.analysis.published_robustness import published
from gradscope.analysis.robustness import area, curves, over_runs, picture_areas, same_settings
from gradscope.analysis.settings import differing, side_by_side
from gradscope.analysis.wording import UNKNOWN, percent
from gradscope.config import FAMILIES
from gradscope.errors import ExchangeError
from gradscope.figures.robustness import LEVELS, small_multiples, title_of
from gradscope.figures.style import RunStyle, styles
from gradscope.records import Run
from gradscope.store import Store, read, read_robustness

_SCALE = 1.5
_MOST_APART = 2
"""So many kinds are compared one by one; more as one."""
_SIZES = {"noise": (360, 240)}

_WORDS = """Accuracy on test pictures that were disturbed: the same pictures and the same disturbance for every run.
Mean over the draws and, where runs of several seeds are pooled, over these; behind ± its standard deviation over the
draws of a single run, or over the runs. Area: the mean accuracy over the levels (trapezoid rule), [95 % interval]: over
the test pictures for a single run, over the runs (Student's t) for several."""


def write_report(path: Path, store: Store, run_ids: Sequence[int]) -> list[Path]:
    """Write the report and its pictures beside it; returns all that was written.

    Raises:
        ExchangeError: none of the runs was measured.
        RunNotFound: one is not in the store.
    """
    found = Found(store, run_ids)
    if not found.families:
        raise ExchangeError("none of these runs has been measured; leave --report out once, then ask for it")
    path.parent.mkdir(parents=True, exist_ok=True)
    files = [path]
    for family in found.families:
        files.append(path.with_name(f"{path.stem}-{family}.png"))
        figure = small_multiples(
            found.curves,
            found.looks,
            found.kinds(family),
            family=family,
            title=family.capitalize(),
            size=_SIZES.get(family, (168, 120)),
        )
        figure.save(str(files[-1]), scale_factor=_SCALE)
    path.write_text(markdown(found, path.stem))
    return files


class Found:
    """What is known of some runs; those of the same settings belong to one group, which goes by its first run."""

    def __init__(self, store: Store, run_ids: Sequence[int]) -> None:
        self.store = store
        self.points = read_robustness.points(store, run_ids)
        measured = set(self.points["run"])
        self.runs = [run for run in (read.run(store, i) for i in sorted(set(run_ids))) if run.id in measured]
        self.of_run = same_settings({run.id: run.config for run in self.runs})
        self.curves = curves(self.points, self.of_run)

    @cached_property
    def groups(self) -> dict[int, list[Run]]:
        """The runs of each group."""
        return {g: [run for run in self.runs if self.of_run[run.id] == g] for g in dict.fromkeys(self.of_run.values())}

    @cached_property
    def looks(self) -> dict[int, RunStyle]:
        """How each group is drawn and named."""
        return styles({group: runs[0].name for group, runs in self.groups.items()})

    @property
    def families(self) -> list[str]:
        """The families of which something was measured."""
        return [family for family in FAMILIES if self.kinds(family)]

    def kinds(self, family: str) -> list[str]:
        """The measured kinds of a family."""
        known = set(self.points["kind"])
        return [kind for kind in FAMILIES[family] if kind in known]

    def right(self, run: int, kind: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        """Levels and which pictures were right; None where the kind was not measured."""
        own = self.points[(self.points["run"] == run) & (self.points["kind"] == kind)]
        if own.empty:
            return None
        last = own.iloc[-1]
        how = str(last["fingerprint"]), kind, int(last["seed"]), int(last["draws"]), int(last["images"])
        return read_robustness.right_counts(self.store, run, *how)

    def area(self, group: int, kinds: Sequence[str]) -> Interval | None:
        """The area under a group's curves of these kinds, which count alike; None where one was not measured."""
        of_runs = [[right for kind in kinds if (right := self.right(run.id, kind))] for run in self.groups[group]]
        areas = [area(each) for each in of_runs if len(each) == len(kinds)]
        if not areas:
            return None
        return areas[0] if len(areas) == 1 else over_runs([each.mean for each in areas])


def markdown(found: Found, name: str = "robustness") -> str:
    """The whole report; its pictures lie beside it under `<name>-<family>.png`."""
    parts = ["# Robustness", _WORDS, _runs(found), _published(found), _settings(found)]
    for family in found.families:
        parts += [f"## {family.capitalize()}", _how(found, family), f"![{family}]({name}-{family}.png)"]
        parts += [_pipes(_levels(found, family)), _pipes(_areas(found, family)), _differences(found, family)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _runs(found: Found) -> str:
    return "\n".join(_run(found, run) for run in found.runs)


def _run(found: Found, run: Run) -> str:
    known, own = run.provenance, found.points[found.points["run"] == run.id]
    versions = ", ".join(f"{name} {version}" for name, version in known.versions.items())
    right, device = percent(run.results.test_accuracy), own["device"].iloc[-1]
    return (
        f"- run {run.id}, `{run.name}`: {own['step'].max()} steps, seed {known.seed}, test accuracy {right};\n"
        f"  trained on {known.device}, measured on {device}; {versions}"
    )


def _published(found: Found) -> str:
    lines = [
        f"- `{found.looks[group].label}`: {percent(known.accuracy)} on clean pictures ({known.what})"
        for group, runs in found.groups.items()
        if (known := published(runs[0].config))
    ]
    title = "Published, for the full training set and schedule; the paper's accuracies under noise are not known to us:"
    return "\n".join([title, "", *lines]) if lines else ""


def _settings(found: Found) -> str:
    configs = {group: _without_place(runs[0].config) for group, runs in found.groups.items()}
    table = side_by_side(configs)
    shared = table[table.nunique(axis=1) == 1].iloc[:, 0]
    same = ", ".join(f"{name} {value}" for name, value in shared.items() if value != UNKNOWN)
    names = {group: found.looks[group].label for group in configs}
    apart = differing(table).rename(columns=names).reset_index()
    return f"Settings that all share: {same}." + (f"\n\n{_pipes(apart)}" if len(apart) else "")


def _without_place(config: Mapping[str, Any]) -> dict[str, Any]:  # Any: whatever a config holds
    """A config without the seed, which each run has beside its name, and with the name of its data's folder alone."""
    parts = {name: dict(part) if isinstance(part, Mapping) else part for name, part in config.items()}
    train, data = parts.get("train"), parts.get("data")
    if isinstance(train, dict):
        train.pop("seed", None)
    if isinstance(data, dict) and data.get("path"):
        data["path"] = Path(str(data["path"])).name
    return parts


def _how(found: Found, family: str) -> str:
    own = found.points[found.points["kind"].isin(found.kinds(family)) & (found.points["level"] > 0)]
    draws = "/".join(str(n) for n in sorted(own["draws"].unique()))
    images, seeds = ("/".join(str(n) for n in sorted(own[name].unique())) for name in ("images", "seed"))
    return f"Level: {LEVELS[family]}. {images} test pictures, {draws} draws a level, seed {seeds} of the disturbance."


def _levels(found: Found, family: str) -> pd.DataFrame:
    own = found.curves[found.curves["kind"].isin(found.kinds(family))]
    text = [
        _points(accuracy) + (f" ± {_points(high - accuracy)}" if high > accuracy else "")
        for accuracy, high in zip(own["accuracy"], own["high"], strict=True)
    ]
    named = own.assign(
        text=text,
        network=own["run"].map({group: look.label for group, look in found.looks.items()}),
        what=own["kind"].map(title_of),
        at=[f"{level:g}" for level in own["level"]],
    )
    order = [f"{level:g}" for level in sorted(own["level"].unique())]
    wide = named.pivot(index=["what", "network"], columns="at", values="text").reindex(columns=order).fillna(UNKNOWN)
    shown = [title_of(kind) for kind in found.kinds(family)]
    return wide.reindex(shown, level="what").reset_index().rename(columns={"what": "accuracy, %"})


def _areas(found: Found, family: str) -> pd.DataFrame:
    rows = [
        {"area, %": what, **{found.looks[group].label: _interval(found.area(group, kinds)) for group in found.groups}}
        for what, kinds in {**_together(found, family), **_apart(found, family)}.items()
    ]
    return pd.DataFrame(rows)


def _together(found: Found, family: str) -> dict[str, list[str]]:
    kinds = found.kinds(family)
    return {f"all {len(kinds)}": kinds} if len(kinds) > _MOST_APART else {}


def _apart(found: Found, family: str) -> dict[str, list[str]]:
    return {title_of(kind): [kind] for kind in found.kinds(family)}


def _differences(found: Found, family: str) -> str:
    rows = []
    for what, kinds in (_together(found, family) or _apart(found, family)).items():
        each = {group: _each_picture(found, group, kinds) for group in found.groups}
        for one, other in combinations(found.groups, 2):
            first, second = each[one], each[other]
            if first is not None and second is not None and first.size == second.size:
                names = f"{found.looks[other].label} - {found.looks[one].label}"
                rows.append((what, names, _interval(paired(first, second))))
    if not rows:
        return ""
    title = "Difference of the areas, picture by picture (bootstrap over pictures; several seeds as their mean):"
    return f"{title}\n\n{_pipes(pd.DataFrame(rows, columns=['kind', 'difference', 'points']))}"


def _each_picture(found: Found, group: int, kinds: Sequence[str]) -> NDArray[np.float64] | None:
    known = [right for run in found.groups[group] for kind in kinds if (right := found.right(run.id, kind))]
    areas = [picture_areas(levels, right) for levels, right in known]
    if len(areas) < len(kinds) * len(found.groups[group]) or len({each.size for each in areas}) > 1:
        return None
    mean: NDArray[np.float64] = np.mean(areas, axis=0)
    return mean


def _interval(found: Interval | None) -> str:
    if found is None:
        return UNKNOWN
    if math.isnan(found.low):
        return _points(found.mean)
    return f"{_points(found.mean)} [{_points(found.low)}, {_points(found.high)}]"


def _points(share: float) -> str:
    return f"{100 * share:.1f}"


def _pipes(frame: pd.DataFrame) -> str:
    rows = [list(map(str, frame.columns)), ["---"] * frame.shape[1], *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows)
