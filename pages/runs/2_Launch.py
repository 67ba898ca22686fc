"""What shall be trained?"""

from itertools import product
from typing import Any

import streamlit as st

from gradscope import jobs
from gradscope.analysis.estimate import Estimate, estimate
from gradscope.analysis.settings import changes
from gradscope.analysis.wording import UNKNOWN, count, duration, plain, size
from gradscope.config import RunConfig
from gradscope.errors import ConfigError, GradScopeError
from gradscope.jobs.command import command_line
from gradscope.jobs.teaching import teacher_config
from gradscope.overrides import with_overrides
from gradscope.presets import PRESETS
from gradscope.records import Run
from gradscope.store import Store, read
from pages.frame import choice, command, show, source
from pages.frame.form import Assignments, Form

MOST_RUNS = 64
Named = tuple[str, RunConfig]


def chosen_preset(earlier: list[Run]) -> str:
    """The presets of one family at a time, and what the chosen one shows; it is in the address."""
    names = list(PRESETS)
    if st.session_state.get("preset") not in names:
        named = st.query_params.get("preset")
        st.session_state["preset"] = named if named in names else names[0]
    chosen = str(st.session_state["preset"])
    families = list(dict.fromkeys(preset.family for preset in PRESETS.values()))
    st.session_state.setdefault("family", PRESETS[chosen].family)
    family = st.segmented_control(
        "Presets", families, key="family", required=True, label_visibility="collapsed", width="stretch"
    )
    with st.container(horizontal=True, gap="xsmall"):
        for name in names:
            if PRESETS[name].family == family:
                button(name, is_chosen=name == chosen)
    st.caption(f"**{chosen}**: {about(chosen, earlier)}")
    return chosen


def button(name: str, *, is_chosen: bool) -> None:
    """Of a preset, with what it shows when the mouse rests on it."""
    st.button(
        name,
        key=f"preset_{name}",
        type="primary" if is_chosen else "secondary",
        help=PRESETS[name].shows,
        on_click=choose,
        args=(name,),
    )


def about(name: str, earlier: list[Run]) -> str:
    """What a preset shows, of which paper it is, and how long it takes where that is known."""
    preset, cost = PRESETS[name], estimate(PRESETS[name].config, earlier)
    paper = f" From {preset.paper}." if preset.paper else ""
    time = f" About {duration(cost.seconds)} here." if cost.seconds else ""
    return preset.shows + paper + time


def choose(name: str) -> None:
    """A card was pressed."""
    st.session_state["preset"] = name
    st.query_params["preset"] = name


def grid(form: Form) -> dict[str, list[str]]:
    """Values for one or two settings; every combination becomes a run."""
    paths = st.multiselect(
        "Settings to vary (two at most)", form.paths(), key="grid", bind="query-params", max_selections=2
    )
    values = {}
    for path in paths:
        given = st.text_input(
            f"Values of {path}, separated by commas",
            key=f"grid_{path}",
            bind="query-params",
            placeholder="0.01, 0.03, 0.1",
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
    """What the run will cost, a line each."""
    total = duration(found.seconds * runs) if found.seconds else UNKNOWN
    lines = {
        "Parameters": count(found.n_parameters),
        "Steps": count(found.steps),
        "Time, roughly" if runs == 1 else f"Time of all {runs}, roughly": total,
        "Memory, at least": size(found.bytes) if found.bytes else UNKNOWN,
    }
    st.markdown(
        "\n".join(f"{name}: **{value}**  " for name, value in lines.items()),
        help="Time: from the speed of an earlier run of such a network on such data, unknown before the first. "
        "Memory: weights, gradients, the optimiser's state and the images; activations and PyTorch come on top.",
    )


def teacher(config: RunConfig) -> None:
    """Who teaches a student that names nobody."""
    wanted = teacher_config(config)
    if wanted is None:
        return
    found = jobs.known_teacher(store, config)
    if found is not None:
        words = f"Run {found.id} ({plain(found.name)}) was trained just as its teacher has to be, and is taken."
    else:
        words = f"Its teacher is trained first, {wanted.train.epochs} epochs, and the student waits for it."
    st.caption(words)


def difference(preset: str, config: RunConfig) -> None:
    """What was changed, seen from the preset."""
    found = changes(PRESETS[preset].config.model_dump(mode="json"), config.model_dump(mode="json"))
    lines = [f"`{name}` {before} → **{after}**" for name, before, after in found]
    st.markdown("Changed:  \n" + "  \n".join(lines) if lines else f"As the preset {preset} has it.")


def given(base: RunConfig, values: Assignments) -> Assignments:
    """What the form says, without a constant tail that was left alone: it keeps its share of other epochs."""
    unchanged = {"schedule.tail_epochs"} if values.get("schedule.tail_epochs") == base.schedule.tail_epochs else set()
    return {path: value for path, value in values.items() if path not in unchanged}


def plan(base: RunConfig, form: Form, over: dict[str, list[str]], preset: str) -> list[Named]:
    """The runs that the form describes; none, and why, where it describes none."""
    name = st.text_input("Name", preset, key=f"name_{preset}", bind="query-params").strip() or preset
    try:
        return combinations(base, given(base, form.values), over, name)
    except ConfigError as error:
        st.error(plain(f"{error}."), icon=":material/error:")
        return []


def obstacle(cost: Estimate, runs: int) -> str | None:
    """Why these runs cannot be started as they are."""
    if cost.data is None:
        return "The data set cannot be read: give the path of a folder that holds it."
    if runs > MOST_RUNS:
        return f"{runs} runs are more than the {MOST_RUNS} that can be started at once: name fewer values."
    return None


store = source.the_store()
show.header("Launch", __doc__)
if st.session_state.pop("started", False):
    show.go(show.RUNS)
earlier_runs = read.runs(store)
chosen = chosen_preset(earlier_runs)
base_config = PRESETS[chosen].config
form_place, plan_place = st.columns([3, 1], gap="large")
form = Form(base_config, chosen)
with form_place:
    form.easy()
    with st.expander("Advanced", icon=":material/tune:"):
        form.advanced()
    with st.expander("Several runs at once", icon=":material/grid_view:"):
        over_values = grid(form)
with plan_place:
    planned = plan(base_config, form, over_values, chosen)
    cost_of_one = estimate(planned[0][1], earlier_runs) if planned else None
    problem = obstacle(cost_of_one, len(planned)) if cost_of_one else None
    command.button(
        "Start" if len(planned) < 2 else f"Start {len(planned)} runs",
        lambda: start(store, planned),
        type="primary",
        icon=":material/play_arrow:",
        key="start",
        width="stretch",
        disabled=not planned or problem is not None or store.read_only,
    )
    for sentence in (problem, st.session_state.pop("refusal", None)):
        if sentence:
            st.error(plain(sentence), icon=":material/error:")
    if cost_of_one:
        costs(cost_of_one, len(planned))
        teacher(planned[0][1])
        difference(chosen, planned[0][1])
if planned:
    with form_place, st.expander("The same as a command", icon=":material/terminal:"):
        lines = [command_line(config, name, store) for name, config in planned[:10]]
        st.code("\n".join(lines), language="bash", wrap_lines=True)
