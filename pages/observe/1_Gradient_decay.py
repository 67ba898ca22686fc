"""Does the gradient reach the first layer?"""

import pandas as pd
import streamlit as st

from gradscope.analysis import amplification, decay
from gradscope.analysis.labels import with_short_names
from gradscope.analysis.wording import UNKNOWN, count, percent, plain, significant
from gradscope.figures.amplification import amplification as amplification_figure
from gradscope.figures.amplification import raw_and_treated
from gradscope.figures.decay import gradient_decay
from gradscope.figures.gain_series import gains_over_steps, shares_over_steps
from gradscope.figures.style import RunStyle, log_span
from gradscope.records import Kind, Run
from pages.frame import address, choice, kinds, show, source
from pages.frame.chips import chip

PLAY_SECONDS = 0.5
GAIN_STEPS = 60  # of each run in the pictures of its gains, so that ten runs of many layers stay quick
HOW = """
Each point is a layer, the input at the left: its height is the RMS of what was chosen above, on a log axis.
**Healthy** is flat and inside the green band, a factor of ten around the output layer. **Vanishing** falls towards the
left as a straight line, a constant factor a layer: the first layers hardly learn. **Exploding** rises towards the left
until it is no longer finite. Exact zeros and values that are not finite cannot stand on a log axis: they have marks of
their own below it. A small weight gradient alone may also come from small activations: look at signal and activation
too. A click on a point opens that layer over time.
"""
AMPLIFIED = (
    "How much stronger each layer's gradient is than plain backpropagation and no clipping would have made it with the "
    "same weights. Each mark multiplies what flows on to the left by its gain, 1 / RMS(f') of pseudo-normalisation."
)
SHARE = (
    "The paper expects {gaussian} of the derivatives above 1 once normalised, as of a Gaussian. But f' of tanh lies "
    "near its largest value: {opposite} while its inputs are small, fewer the more units are saturated."
)


def pause() -> None:
    """Stop playing where it is."""
    st.session_state["step"] = st.session_state.get("play_at", st.session_state.get("step"))
    st.session_state["playing"] = False


def play() -> None:
    """Go through the steps from the one shown, or from the first if that is the last."""
    st.session_state["playing"], st.session_state["follow"] = True, False
    st.session_state["play_at"] = st.session_state.get("step", 0)


def choose_step() -> None:
    """A step chosen by hand ends the following."""
    st.session_state["follow"] = False


def open_layer() -> None:
    """A clicked point: the layer's own page, of the same run and kind."""
    point = show.picked("decay")
    if point:
        st.session_state["layers_of"] = (int(point["run"]), int(point["layer"]))


def open_layers_over_time(runs: list[Run], run_id: int, layer: int) -> None:
    """The page of a clicked layer, its choices in the address."""
    run = next(run for run in runs if run.id == run_id)
    names = source.layers(store, [run]).set_index("layer")["name"]
    for key in ("run", "layer", "what", "at"):
        st.session_state.pop(key, None)
    seen = {"what": str(st.session_state["kind"]), "at": str(st.session_state["step"])}
    show.go(show.LAYERS, run=choice.text_of(run), layer=f"{layer} {names[layer]}", **seen)


def controls(live: bool) -> tuple[Kind, bool]:
    """The row above the figure."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = kinds.choose("kind")
        address.seed("depth", ["depth", "relative"], "depth")
        depth = st.segmented_control(
            "Depth",
            ["depth", "relative"],
            key="depth",
            default="depth",
            required=True,
            bind="query-params",
            label_visibility="collapsed",
        )
        playing = st.session_state.get("playing", False)
        st.button(
            "Pause" if playing else "Play",
            icon=":material/pause:" if playing else ":material/play_arrow:",
            on_click=pause if playing else play,
            key="play",
        )
        if live:
            st.session_state.setdefault("follow", "step" not in st.query_params)
            st.toggle("Follow", key="follow", help="Always show the newest step of a run in training")
    return kind, depth == "relative"


def step_to_show(steps: list[int], live: bool) -> int:
    """The slider, or where the playing is."""
    last = steps[-1]
    if st.session_state.get("playing"):
        at = st.session_state["play_at"]
        later = [s for s in steps if s > at]
        at = steps[0] if at >= last and not st.session_state.get("replayed") else later[0] if later else last
        st.session_state["play_at"], st.session_state["replayed"] = at, True
        st.progress((steps.index(at) + 1) / len(steps), text=f"step {count(at)} of {count(last)}")
        if at == last:
            st.session_state["replayed"] = False
            pause()
        return at
    st.session_state["replayed"] = False
    if live and st.session_state.get("follow"):
        st.session_state["step"] = last
    address.seed_step("step", steps)
    if len(steps) < 2:
        return last
    return st.select_slider(
        "Step", steps, value=last, key="step", bind="query-params", on_change=choose_step, label_visibility="collapsed"
    )


def table(profile: pd.DataFrame, runs: list[Run], looks: dict[int, RunStyle]) -> None:
    """A line a run: factor, course, verdict, fit, step."""
    named = with_short_names(profile)
    known = {run.id: named[named["run"] == run.id] for run in runs}
    rows = [{"": chip(looks[run]), "run": looks[run].label, **_found(own)} for run, own in known.items()]
    texts = {
        "a layer": "By what the RMS is multiplied at each layer towards the input, and its 95 % confidence interval",
        "from output to input": "One factor for all layers, or two where two lines fit clearly better than one",
        "R²": "How well a straight line on the log axis fits, at most 1",
    }
    config = {name: st.column_config.TextColumn(help=text) for name, text in texts.items()}
    config[""] = st.column_config.ImageColumn(width=50)
    st.dataframe(pd.DataFrame(rows), hide_index=True, column_config=config, key="decay_table", width="stretch")


def _found(own: pd.DataFrame) -> dict[str, str]:
    """What the profile of one run says."""
    if own.empty:
        return dict.fromkeys(["a layer", "from output to input", "verdict", "R²", "step"], UNKNOWN)
    found = decay.of_profile(own)
    factor, low, high = map(significant, (found.factor, found.factor_low, found.factor_high))
    return {
        "a layer": UNKNOWN if factor == UNKNOWN else f"\N{MULTIPLICATION SIGN}{factor} ({low} to {high})",
        "from output to input": decay.in_words(found, dict(zip(own["layer"], own["name"], strict=True))),
        "verdict": found.verdict,
        "R²": significant(found.r2),
        "step": count(int(own["step"].max())),
    }


def amplified(runs: list[Run], step: int, looks: dict[int, RunStyle], relative: bool) -> None:
    """What methods of the backward pass and clipping made of the gradient; nothing where no run shown has any."""
    gradient, raw = (source.profile(store, runs, kind, step) for kind in (Kind.GRADIENT, Kind.RAW_GRADIENT))
    reaches = {run.id: amplification.reach(run.config) for run in runs}
    found = amplification.of_profile(gradient, source.gains(store, runs, step), raw, reaches)
    if found.empty:
        return
    touched = {run: look for run, look in looks.items() if run in set(found["run"])}
    left, right = st.columns(2)
    with left:
        figure = raw_and_treated(found, touched, relative=relative)
        show.chart(figure, "raw", f"raw and treated gradient against depth of {len(touched)} runs")
    with right:
        figure = amplification_figure(found, touched, relative=relative)
        show.chart(figure, "amplification", f"amplification against depth of {len(touched)} runs")
    shares = found.groupby("run")["share_above_one"].mean().dropna()
    told = [f"{plain(looks[run].label)} {percent(shares[run])}" for run in looks if run in shares.index]
    beside = f"{percent(amplification.GAUSSIAN_SHARE)} of a Gaussian"
    above = f" Derivatives above 1 once normalised ({beside}): {', '.join(told)}." if told else ""
    st.caption(AMPLIFIED + above)
    gains_of([run for run in runs if run.id in touched], looks)


def gains_of(runs: list[Run], looks: dict[int, RunStyle]) -> None:
    """The gain of each layer over the steps, where methods have one, and the share above 1 where these are 1 / RMS."""
    series = pd.concat([source.gain_series(store, run, GAIN_STEPS) for run in runs], ignore_index=True)
    if series.empty:
        return
    own = {run: look for run, look in looks.items() if run in set(series["run"])}
    left, right = st.columns(2)
    with left:
        figure = gains_over_steps(series, own)
        show.chart(figure, "gain_series", f"gain of each layer over the steps of {len(own)} runs")
    normalised = series.dropna(subset="share_above_one")
    if normalised.empty:
        return
    own = {run: look for run, look in own.items() if run in set(normalised["run"])}
    with right:
        figure = shares_over_steps(normalised, own)
        show.chart(figure, "share_series", f"share of derivatives above 1 over the steps of {len(own)} runs")
    gaussian = amplification.GAUSSIAN_SHARE
    st.caption(SHARE.format(gaussian=percent(gaussian), opposite=percent(1 - gaussian)))


store = source.the_store()
show.header("Gradient decay", __doc__)
runs_shown = show.runs_or_next_step(store, "gradient")
is_live = any(not run.status.is_final for run in runs_shown)
chosen_kind, is_relative = controls(is_live)


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    if "layers_of" in st.session_state:
        open_layers_over_time(runs, *st.session_state.pop("layers_of"))
    steps = source.steps(store, runs)
    if not steps:
        show.live_badge(runs)
        st.info("None of these runs has recorded a layer yet; the first record comes with the first step.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        show.live_badge(runs)
        step = step_to_show(steps, is_live)
    looks = choice.look(runs)
    profile = source.profile(store, runs, chosen_kind, step)
    span = log_span(source.layer_map(store, run, chosen_kind, 24) for run in runs)
    figure = gradient_decay(profile, looks, kind=chosen_kind, relative=is_relative, span=span, height=370)
    show.chart(figure, "decay", f"{chosen_kind} RMS against depth of {len(runs)} runs", open_layer)
    table(profile, runs, looks)
    amplified(runs, step, looks, is_relative)
    show.how_to_read(HOW, profile, "gradient_decay")
    if st.session_state.get("was_playing") and not st.session_state.get("playing"):
        st.session_state["was_playing"] = False
        st.rerun()


if st.session_state.get("playing"):
    st.session_state["was_playing"] = True
show.live(store, draw, PLAY_SECONDS if st.session_state.get("playing") else 1.0, st.session_state.get("playing", False))
