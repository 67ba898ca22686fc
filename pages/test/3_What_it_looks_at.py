"""Contours or areas, the middle or the margin, which colour: what do the networks look at?"""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from gradscope.analysis.scores import SCORES
from gradscope.analysis.wording import percent, plain
from gradscope.config.explaining import Explain
from gradscope.figures.attribution_scores import ends, score_dots
from gradscope.figures.style import RunStyle
from gradscope.overview import Overview
from gradscope.records import Run
from pages.frame import attribution_choice, choice, show, source, tasks

WHERE = [name for name, score in SCORES.items() if score.group in {"where", "colour", "object"}]
TRUST = [name for name, score in SCORES.items() if score.group == "trust"]
HOW = """
Each dot is the mean over the same test pictures for every run, its line the 95 % bootstrap interval over the
pictures: where the lines of two runs do not meet, they differ on pictures of this kind; another training of the same
network may differ as well. The grey tick is what a map of one value everywhere would score. **On contours** and
**inside** are shares of the attribution, for and against the class alike: on generated shapes on the object's exact
contour and within it, on other pictures on the fifth of the pixels with the steepest changes and on what is neither
edge nor margin. Trust a method whose **deletion** is small, whose **insertion** is large and whose maps are not
**like random weights**.
"""


def verdicts(found: Overview, looks: Mapping[int, RunStyle]) -> list[str]:
    """Where a run looks at contours, the inside or the margin more or less than the first, in words."""
    lines, first = [], found.runs[0].id
    for run in found.runs[1:]:
        for score in ("contour", "interior", "margin"):
            own = found.differences[(found.differences["run"] == run.id) & (found.differences["score"] == score)]
            if own.empty:
                continue
            sure = own[(own["low"] > 0) | (own["high"] < 0)]
            names = f"**{plain(looks[run.id].label)}** looks {{}} **{plain(looks[first].label)}**"
            means = dict(zip(sure["method"], sure["mean"], strict=True))
            lines.append(_verdict(names, SCORES[score].title, means, found, len(own)))
    return lines


def _verdict(names: str, where: str, sure: Mapping[str, float], found: Overview, methods: int) -> str:
    signs = {mean > 0 for mean in sure.values()}
    if not sure:
        return names.format(f"about as much {where} as") + "."
    if len(signs) == 2:
        return f"The methods do not agree on who looks more {where}."
    word = "more" if signs == {True} else "less"
    by = ", ".join(f"{found.titles[m]} {100 * mean:+.1f} points" for m, mean in sure.items())
    return names.format(f"{word} {where} than") + f" by {len(sure)} of {methods} methods: {by}."


def table(found: Overview, looks: Mapping[int, RunStyle]) -> pd.DataFrame:
    """A line a score, a column a run and method, each with its interval."""
    names = {cell: f"{looks[cell[0]].label}, {found.titles[cell[1]]}" for cell in found.maps}
    texts = {
        (
            SCORES[row["score"]].title,
            names[row["run"], row["method"]],
        ): f"{row['mean']:.3f} ({row['low']:.3f} to {row['high']:.3f})"
        for row in found.summary.to_dict("records")
    }
    texts |= {("gap of the sum", names[cell]): percent(gap) for cell, gap in found.gaps.items()}
    texts |= {("pictures", names[cell]): str(len(maps)) for cell, maps in found.maps.items()}
    lines = list(dict.fromkeys(line for line, _ in texts))
    return pd.DataFrame([{"score": line, **{n: texts.get((line, n), "") for n in names.values()}} for line in lines])


def figures(found: Overview, looks: Mapping[int, RunStyle]) -> None:
    """A column a method, one axis for all."""
    drawn = {run: looks[run] for run in sorted({run for run, _ in found.maps})}
    methods = [m for m in found.methods if any(of == m for _, of in found.maps)]
    blocks = (("where", WHERE, "share of the attribution"), ("trust", TRUST, "area, correlation"))
    for name, scores, axis in blocks:
        if not set(scores) & set(found.summary["score"]):
            st.caption("Whether these maps can be trusted is not checked yet: the button above does it.")
            continue
        span = ends(found.summary, scores)
        for column, method in zip(st.columns(len(methods)), methods, strict=True):
            with column:
                own = found.summary[found.summary["method"] == method]
                title = found.titles[method] if name == "where" else "Can it be trusted?"
                figure = score_dots(own, drawn, scores, title=title, axis=axis, span=span)
                show.chart(figure, f"{name}_{method}", f"{title}: scores of {len(drawn)} runs with intervals")


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    looks = choice.look(runs)
    found_tasks = tasks.of(store, runs, attribution_choice.KIND)
    tasks.panel(store, runs, found_tasks, "maps")
    able = [run for run in runs if tasks.has_network(store, run)]
    if not able:
        attribution_choice.nothing_to_ask()
    found = source.overview(store, able, wanted)
    attribution_choice.say_what_is_lacking(store, found, able, looks, checks=True, going=tasks.is_moving(found_tasks))
    if found.maps:
        figures(found, looks)
        for line in verdicts(found, looks):
            st.markdown(f"- {line}")
        shown = table(found, looks)
        st.dataframe(shown, hide_index=True, key="scores")
        show.how_to_read(HOW, shown, "what_it_looks_at")
    if moving is not tasks.is_moving(found_tasks):  # the refreshing is to begin or to end
        st.rerun()


store = source.the_store()
show.header("What it looks at", __doc__)
runs_shown = show.runs_or_next_step(store, "score")
with_network = [run for run in runs_shown if tasks.has_network(store, run)]
choices = attribution_choice.Choices("looks", n=100, most=2000)
wanted = choices.draw(source.overview(store, with_network, Explain())) if with_network else Explain()
moving = tasks.is_moving(tasks.of(store, runs_shown, attribution_choice.KIND))
show.live(store, draw, moving=moving)
