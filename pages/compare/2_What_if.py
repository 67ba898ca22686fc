"""What would another activation, start, norm, shortcut or backward pass do to the gradient of this run?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis import decay, what_if
from gradscope.analysis.findings.remedies import settings_of
from gradscope.analysis.labels import with_short_names
from gradscope.analysis.settings import changes
from gradscope.analysis.what_if import Switches
from gradscope.analysis.wording import UNKNOWN, plain, sentence, significant
from gradscope.config import RunConfig
from gradscope.config.settings import Activation
from gradscope.errors import ConfigError, GradScopeError
from gradscope.figures.decay import gradient_decay
from gradscope.figures.style import PALETTE, RunStyle
from gradscope.jobs.workbench import WORKBENCH
from gradscope.overrides import with_overrides
from gradscope.records import Kind, Run, Status
from gradscope.store import read
from pages.frame import address, choice, command, kinds, show, source, tasks

SAME = "as it is"
PREDICTED = 0  # what the prediction goes by in place of a run's number

WEIGHTS = {"trained weights": "checkpoint", "fresh weights": "start"}
NORMS = {SAME: None, "batch norm": True, "none": False}
SHORTCUTS = {SAME: None, "with": True, "without": False}
PSEUDO = {SAME: None, "none": 0, "every second layer": 2, "every layer": 1}
GAINS = [0.25, 0.35, 0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.4, 1.6, 2.0, 2.8, 4.0]
SCHEMES = [SAME, "lecun", "xavier", "he", "orthogonal"]

HOW = """
The dashed line is one forward and one backward pass of this run's network, on its first batch, with what you switched;
the other one is what the run recorded. **Trained weights**: those of its last checkpoint in the changed network (size
multiplies them; a new norm begins afresh). **Fresh weights**: the very ones that a run of these settings and this seed
begins with, so the prediction is that run's step 0, and *Launch with this* trains it. Flat is healthy; falling to the
left it **vanishes**, rising it **explodes**. What happens later in the training, no single pass can tell.
"""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the page shows."""

    run: Run
    config: RunConfig
    """The run's own."""
    kind: Kind
    weights: str
    switches: Switches

    @property
    def settings(self) -> dict[str, Any]:  # Any: as with_overrides takes it
        """What a run launched with this would have."""
        return what_if.settings(self.config, self.switches)


def choose_run(runs: Sequence[Run]) -> Run:
    """Of those shown that GradScope trained, the newest first."""
    by_id = {run.id: run for run in sorted(runs, key=lambda run: -run.id)}

    def text(run_id: int) -> str:
        return choice.text_of(by_id[run_id])

    address.seed("what_if_of", list(by_id), next(iter(by_id)), text)
    chosen = st.selectbox(
        "Run",
        list(by_id),
        key="what_if_of",
        bind="query-params",
        format_func=text,
        label_visibility="collapsed",
        width=280,
    )
    return by_id[chosen]


def one_of(label: str, key: str, options: Sequence[str], help_text: str | None = None, enabled: bool = True) -> str:
    """A small choice in the address; the first option changes nothing."""
    address.seed(key, options, options[0])
    return str(
        st.selectbox(label, options, key=key, bind="query-params", help=help_text, disabled=not enabled) or options[0]
    )


def choose_weights(run: Run) -> str:
    """Trained or fresh; without a checkpoint fresh."""
    options = list(WEIGHTS) if tasks.has_network(store, run) else [list(WEIGHTS)[1]]
    address.seed("weights", options, options[0])
    found = st.segmented_control(
        "Weights",
        options,
        key="weights",
        default=options[0],
        required=True,
        bind="query-params",
        label_visibility="collapsed",
        help="The run's own last ones, or those that a new run begins with",
    )
    return WEIGHTS[str(found or options[0])]


def switches(config: RunConfig, weights: str) -> Switches:
    """The row of switches."""
    places = st.columns([2, 2, 3, 2, 2, 3])
    with places[0]:
        activation = choose_activation(config)
    with places[1]:
        fixed = "The weights are trained; only their size can be changed here" if weights == "checkpoint" else None
        scheme = one_of("Start", "scheme", SCHEMES, fixed, enabled=weights == "start")
    with places[2]:
        gain = choose_gain(weights)
    with places[3]:
        built_in = what_if.has_norm_built_in(config)
        norm = one_of("Norm", "norm", list(NORMS), "This model has its own" if built_in else None, enabled=not built_in)
    with places[4]:
        able = what_if.has_shortcuts(config)
        lacking = None if able else f"A setting of mlp; {config.model.name} is as it is"
        shortcuts = one_of("Shortcuts", "shortcuts", list(SHORTCUTS), lacking, enabled=able)
    with places[5]:
        pseudo = one_of("Pseudo-normalisation", "pseudo", list(PSEUDO), "Direct form; smooth activations only")
    return Switches(
        activation=activation,
        scheme=None if scheme == SAME or weights == "checkpoint" else scheme,
        gain=gain,
        batch_norm=None if built_in else NORMS[norm],
        shortcuts=SHORTCUTS[shortcuts] if able else None,
        pseudo_norm=PSEUDO[pseudo],
    )


def choose_activation(config: RunConfig) -> str | None:
    """Another activation; None where it stays, or where the network has its own throughout."""
    variable = what_if.has_activation(config)
    others = [name for name in get_args(Activation) if name != getattr(config.model, "activation", None)]
    told = None if variable else "These networks have theirs throughout"
    found = one_of("Activation", "activation", [SAME, *others], told, enabled=variable)
    return None if found == SAME or not variable else found


def choose_gain(weights: str) -> float:
    """The slider of the weights' size."""
    texts = {
        "checkpoint": "The trained weights are multiplied by it; a launched run begins with weights so much larger",
        "start": "Multiplies the run's own initialisation, or the chosen one",
    }
    address.seed("gain", GAINS, 1.0, lambda gain: f"{gain:g}")
    found = st.select_slider(
        "Size of the weights",
        GAINS,
        value=1.0,
        key="gain",
        bind="query-params",
        format_func=lambda gain: f"{gain:g}",
        help=texts[weights],
    )
    return float(found)


def answer(asked: Asked) -> Mapping[str, Any]:  # Any: JSON
    """Of the workbench; the same question is asked once."""
    at_start = asked.weights == "start"
    given = asked.settings if at_start else _without_start(asked.settings)
    model = store.paths(asked.run.id).model
    version = model.stat().st_mtime_ns if model.exists() and not at_start else 0
    wait = "One pass..." if WORKBENCH.is_warm else "Starting PyTorch, a few seconds, once..."
    with st.spinner(wait, show_time=True):
        found: Mapping[str, Any] = _asked(
            store,
            source.identity(store),
            asked.run.id,
            tuple(sorted(given.items())),
            asked.weights,
            asked.switches.gain,
            version,
        )
    return found


def _without_start(settings: Mapping[str, Any]) -> dict[str, Any]:  # Any: as above
    return {name: value for name, value in settings.items() if not name.startswith("methods.initialisation")}


@st.cache_data(show_spinner=False, max_entries=128)
def _asked(
    _store: Any,
    identity: object,
    run: int,
    given: tuple[tuple[str, Any], ...],
    weights: str,
    scale: float,
    version: int,
) -> Any:  # Any: JSON
    return WORKBENCH.ask(_store, "what_if", run=run, settings=dict(given), weights=weights, scale=scale)


def recorded(asked: Asked, run: Run) -> pd.DataFrame:
    """What a run has recorded at the start, or of late."""
    return source.profile(store, [run], asked.kind, 0 if asked.weights == "start" else None)


def looks_of(asked: Asked, twins: Sequence[Run]) -> dict[int, RunStyle]:
    """The run, the run that was launched with this, the prediction."""
    known = choice.look([asked.run, *twins])
    labels = {asked.run.id: "recorded", **{twin.id: f"run {twin.id}, launched" for twin in twins}}
    dashes = {asked.run.id: (1, 0), **{twin.id: (2, 2) for twin in twins}}
    named = {run: replace(look, label=labels[run], dash=dashes[run]) for run, look in known.items()}
    colour = next(c for c in PALETTE[2:] if c not in {look.colour for look in known.values()})
    return {**named, PREDICTED: RunStyle(label="predicted", colour=colour, dash=(6, 3), shape="diamond")}


def in_words(profile: pd.DataFrame) -> str:
    """How a profile runs, and its verdict."""
    if profile.empty:
        return "nothing recorded"
    named = with_short_names(profile)
    found = decay.of_profile(named)
    course = decay.in_words(found, dict(zip(named["layer"], named["name"], strict=True)))
    return course if found.verdict == course else f"{course}: {found.verdict}"


def say(asked: Asked, told: Mapping[str, Any], predicted: pd.DataFrame, twins: Sequence[Run]) -> None:
    """The two curves in words, and the runs that tell how good the prediction was."""
    st.markdown(f"**Recorded** {plain(in_words(recorded(asked, asked.run)))}")
    st.markdown(f"**Predicted** {plain(in_words(predicted))}")
    loss = UNKNOWN if told["loss"] is None else significant(told["loss"])
    part = "" if told["is_whole"] else ", a part of the run's first batch"
    st.caption(f"One pass of {told['images']} pictures{part}; its loss is {loss} nats.")
    for twin in twins:
        off = what_if.error_decades(predicted, source.profile(store, [twin], asked.kind, 0))
        if asked.weights == "start" and off == off:
            name = plain(choice.text_of(twin))
            st.caption(f"Run {name} was trained with this: its step 0 lies {off:.2g} decades from the prediction.")


def changed_settings(asked: Asked, changed: RunConfig) -> None:
    """What a launched run would have that this one has not."""
    differing = changes(asked.config.model_dump(mode="json"), changed.model_dump(mode="json"))
    lines = [f"- `{name}` {plain(before)} → **{plain(after)}**" for name, before, after in differing]
    st.markdown("\n".join(lines) or "Nothing is switched: the prediction is the network as it is.")


def launch(asked: Asked, changed: RunConfig) -> None:
    """Queue the run."""
    name = f"{asked.run.name}, {what_if.in_words(asked.switches)}"
    try:
        started = jobs.submit(store, changed, name)
    except GradScopeError as error:
        st.session_state["refusal"] = sentence(error)
        return
    st.session_state["queued"] = f"Run {started} is queued: {name}."
    choice.show_only([started, *st.session_state.get("runs", [])])


def beside(
    asked: Asked, changed: RunConfig, told: Mapping[str, Any], predicted: pd.DataFrame, twins: list[Run]
) -> None:
    """Words, what would be launched, and the button."""
    say(asked, told, predicted, twins)
    changed_settings(asked, changed)
    command.button(
        "Launch with this",
        lambda: launch(asked, changed),
        type="primary",
        icon=":material/rocket_launch:",
        key="launch_what_if",
        disabled=asked.switches.is_none or store.read_only,
    )
    for key, box in (("queued", st.success), ("refusal", st.error)):
        if key in st.session_state:
            box(plain(st.session_state.pop(key)))


def draw(asked: Asked, changed: RunConfig) -> None:
    """The curves and what is beside them."""
    told = answer(asked)
    predicted = what_if.profile(told["rows"], PREDICTED, asked.kind.value)
    twins = [] if asked.switches.is_none else what_if.launched(read.runs(store), changed)
    begun = [twin for twin in twins if twin.id != asked.run.id and twin.status is not Status.QUEUED]
    drawn = [recorded(asked, run) for run in (asked.run, *begun[-1:])]
    curves = pd.concat([*(frame for frame in drawn if len(frame)), predicted], ignore_index=True)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        figure = gradient_decay(curves, looks_of(asked, begun[-1:]), kind=asked.kind, height=400)
        show.chart(figure, "what_if", f"{asked.kind} against depth, recorded and predicted")
    with right:
        beside(asked, changed, told, predicted, begun)
    show.how_to_read(HOW, curves, "what_if")


store = source.the_store()
show.header("What if", __doc__)
candidates = {run.id: settings_of(run.config) for run in show.runs_or_next_step(store, "network")}
able = [run for run in choice.chosen(store) if run.source == "train" and candidates.get(run.id)]
if not able:
    show.nothing(
        "None of the runs shown was trained by GradScope, so there is no network here to be changed. "
        "Choose another at the left, or launch one.",
        show.LAUNCH,
        "Launch a run",
    )
with st.container(horizontal=True, vertical_alignment="center"):
    patient = choose_run(able)
    kind = kinds.choose("what_if_kind")
    weights = choose_weights(patient)
own_config = candidates[patient.id]
assert own_config
question = Asked(run=patient, config=own_config, kind=kind, weights=weights, switches=switches(own_config, weights))
try:
    draw(question, with_overrides(own_config, question.settings))
except ConfigError as error:
    st.warning(plain(f"This cannot be: {str(error).removeprefix('config: ')}."), icon=":material/block:")
except GradScopeError as error:
    st.error(plain(sentence(error)), icon=":material/error:")
    st.button("Try again", icon=":material/refresh:", key="try_again")  # any press computes the page anew
