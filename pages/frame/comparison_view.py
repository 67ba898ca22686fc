"""What the page Compare compares, and how: the choices of the row above its figures."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import streamlit as st

from gradscope.analysis.comparison import Align
from gradscope.analysis.pooling import members, name_of_group
from gradscope.analysis.robustness import same_settings
from gradscope.analysis.wording import count
from gradscope.figures.style import RunStyle, tall
from gradscope.records import Kind, Run
from gradscope.store import Store
from pages.frame import address, choice, kinds, source

ALIGNED = {"relative depth": "depth", "layer index": "layer"}
"""Of what the layers are aligned by: what the choice says, and what the analysis calls it."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What is compared, and how: choices of the row above the figures."""

    runs: list[Run]
    groups: dict[int, int]
    looks: dict[int, RunStyle]
    """Of the groups."""
    kind: Kind
    align: Align
    step: int | None

    @property
    def height(self) -> int:
        """Of a figure over half the page, in pixels."""
        return tall(270, len(self.looks), columns=2)

    @property
    def is_relative(self) -> bool:
        """Whether depth is a share of the whole."""
        return self.align == "depth"


def view_of(store: Store, runs: list[Run]) -> View:
    """The row above the figures."""
    known = same_settings({run.id: run.config for run in runs})
    with st.container(horizontal=True, vertical_alignment="center"):
        kind = kinds.choose("values")
        aligned = _align()
        pool = _pool(len(set(known.values())) < len(runs))
        step = _step(store, runs)
    groups = known if pool else {run.id: run.id for run in runs}
    return View(runs=runs, groups=groups, looks=_looks(runs, groups), kind=kind, align=aligned, step=step)


def _align() -> Align:
    options = list(ALIGNED)
    address.seed("align", options, options[0])
    found = st.segmented_control(
        "Layers side by side by",
        options,
        key="align",
        default=options[0],
        required=True,
        bind="query-params",
        label_visibility="collapsed",
    )
    return ALIGNED[str(found or options[0])]  # type: ignore[return-value]  # the values are the two


def _pool(any_seeds: bool) -> bool:
    return st.toggle(
        "Pool seeds",
        value=True,
        key="pool_seeds",
        bind="query-params",
        disabled=not any_seeds,
        help="Runs that differ in their seed alone are one line and one row"
        + ("" if any_seeds else "; of the runs shown no two are such"),
    )


def _looks(runs: list[Run], groups: Mapping[int, int]) -> dict[int, RunStyle]:
    looks, names, seeds = choice.look(runs), {run.id: run.name for run in runs}, {run.id: _seed(run) for run in runs}
    return {
        group: replace(looks[group], label=name_of_group(names[group], [seeds[i] for i in own]))
        if len(own) > 1
        else looks[group]
        for group, own in members(groups).items()
    }


def _seed(run: Run) -> object:
    train = run.config.get("train")
    return train.get("seed") if isinstance(train, Mapping) else None


def _step(store: Store, runs: list[Run]) -> int | None:
    steps = source.steps(store, runs, 100)
    if len(steps) < 2:
        return None
    address.seed_step("compared_at", steps)
    found = st.select_slider(
        "Step",
        steps,
        value=steps[-1],
        format_func=lambda step: f"step {count(step)}",
        key="compared_at",
        bind="query-params",
        label_visibility="collapsed",
        width=220,
    )
    return None if found == steps[-1] else int(found)
