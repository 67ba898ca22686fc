"""What shall be trained?"""

from itertools import product
from typing import Any

import streamlit as st

from gradscope import jobs
from gradscope.analysis.estimate import Estimate, estimate
from gradscope.analysis.settings import changes
from gradscope.analysis.wording import UNKNOWN, count, duration, size
from gradscope.config import RunConfig
from gradscope.errors import ConfigError, GradScopeError
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.records import Run
from gradscope.store import Store, read
from pages.frame import choice, show, source
from pages.frame.form import Assignments, Form

MOST_RUNS = 64
Named = tuple[str, RunConfig]


def cards(earlier: list[Run]) -> str:
    """The presets; the chosen one is in the address."""
    names = list(PRESETS)
    if st.session_state.get("preset") not in names:
        named = st.query_params.get("preset")
        st.session_state["preset"] = named if named in names else names[0]
    for first in range(0, len(names), 5):
        for column, name in zip(st.columns(5), names[first : first + 5], strict=False):
            with column, st.container(border=True, height=172):
                st.button(
                    name,
                    key=f"preset_{name}",
                    type="primary" if name == st.session_state["preset"] else "secondary",
                    width="stretch",
                    on_click=choose,
                    args=(name,),
                )
                cost = estimate(PRESETS[name].config, earlier)
                time = f" About {duration(cost.seconds)} here." if cost.seconds else ""
                st.caption(PRESETS[name].shows + time)
    return str(st.session_state["preset"])


def choose(name: str) -> None:
    """A card was pressed."""
    st.session_state["preset"] = name
    st.query_params["preset"] = name


def grid(form: Form) -> dict[str, list[str]]:
    """Values for one or two settings; every combination becomes a run."""
    paths = st.multiselect("Settings to vary (two at most)", form.paths(), key="grid", max_selections=2)
    values = {}
    for path in paths:
        given = st.text_input(
            f"Values of {path}, separated by commas", key=f"grid_{path}", placeholder="0.01, 0.03, 0.1"
        )
        values[path] = [v.strip() for v in given.split(",") if v.strip()]
    return {path: found for path, found in values.items() if found}


def combinations(base: RunConfig, values: Assignments, over: dict[str, list[str]], name: str) -> list[Named]:
    """The configs to train, each with its name."""
    if not over:
        return [(name, with_overrides(base, values))]
    found = []
    for combination in product(*over.values()):
        point: dict[str, Any] = dict(zip(over, combination, strict=True))
        suffix = " ".join(f"{path.rsplit('.', 1)[-1]}={value}" for path, value in point.items())
        found.append((f"{name} {suffix}", with_overrides(base, {**values, **point})))
    return found


def start(store: Store, wanted: list[Named]) -> None:
    """Queue the runs, show them, and go to the table."""
    try:
        ids = [jobs.submit(store, config, name) for name, config in wanted]
    except GradScopeError as error:
        st.session_state["refusal"] = f"{error}."
        return
    shown = [*reversed(ids), *st.session_state.get("runs", [])]
    choice.show_only(shown[: max(choice.FIRST, min(len(ids), choice.MOST))])
    st.session_state["started"] = True


def costs(found: Estimate, runs: int) -> None:
    """What the run will cost, in a row."""
    total = found.seconds * runs if found.seconds else None
    with st.container(horizontal=True, key="estimate"):
        st.metric("Parameters", count(found.n_parameters))
        st.metric("Steps", count(found.steps))
        st.metric(
            "Time, roughly" if runs == 1 else f"Time of all {runs}, roughly",
            duration(total) if total else UNKNOWN,
            help="From the speed of an earlier run of such a network on such data; unknown before the first",
        )
        st.metric(
            "Memory",
            size(found.bytes) if found.bytes else UNKNOWN,
            help="Weights, gradients, the optimiser's state and the images; activations and PyTorch itself come on top",
        )


def difference(preset: str, config: RunConfig) -> None:
    """What was changed, seen from the preset."""
    found = changes(PRESETS[preset].config.model_dump(mode="json"), config.model_dump(mode="json"))
    if found:
        st.markdown("Changed: " + ", ".join(f"`{name}` {before} → **{after}**" for name, before, after in found))
    else:
        st.caption(f"As the preset {preset} has it.")


store = source.the_store()
show.header("Launch", __doc__)
if st.session_state.pop("started", False):
    st.switch_page(show.RUNS)
earlier_runs = read.runs(store)
chosen = cards(earlier_runs)
base_config = PRESETS[chosen].config
form = Form(base_config, chosen)
form.easy()
with st.expander("Advanced", icon=":material/tune:"):
    form.advanced()
with st.expander("Several runs at once", icon=":material/grid_view:"):
    over_values = grid(form)
run_name = st.text_input("Name", chosen, key=f"name_{chosen}", width=320).strip() or chosen
try:
    planned = combinations(base_config, form.values, over_values, run_name)
except ConfigError as error:
    st.error(f"{error}.", icon=":material/error:")
    planned = []
problem = None
if planned:
    cost_of_one = estimate(planned[0][1], earlier_runs)
    if cost_of_one.data is None:
        problem = "The data set cannot be read: give the path of a folder that holds it."
    elif len(planned) > MOST_RUNS:
        problem = f"{len(planned)} runs are more than the {MOST_RUNS} that can be started at once: name fewer values."
    difference(chosen, planned[0][1])
    costs(cost_of_one, len(planned))
if problem:
    st.error(problem, icon=":material/error:")
if refusal := st.session_state.pop("refusal", None):
    st.error(refusal, icon=":material/error:")
st.button(
    "Start" if len(planned) < 2 else f"Start {len(planned)} runs",
    type="primary",
    icon=":material/play_arrow:",
    key="start",
    disabled=not planned or problem is not None or store.read_only,
    on_click=start,
    args=(store, planned),
)
if planned:
    with st.expander("The same as a command", icon=":material/terminal:"):
        lines = [jobs.command_line(config, name) for name, config in planned[:10]]
        st.code("\n".join(lines), language="bash", wrap_lines=True)
