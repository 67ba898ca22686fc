"""Which exit is good enough, and for which pictures?"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from gradscope import jobs
from gradscope.analysis.exits import (
    WHATS,
    backbone_profile,
    by_exit,
    cosines_to_last,
    examples,
    has_exits,
    in_words,
    leavers,
    left_at,
    metric_names,
    shares_by_exit,
    twin,
)
from gradscope.analysis.wording import count, plain, significant
from gradscope.config import Exits
from gradscope.exit_answers import ExitAnswers
from gradscope.figures.attribution_pixels import enlarged, picture
from gradscope.figures.decay import gradient_decay
from gradscope.figures.exits import exit_curves, exit_map, leaving, trade_off
from gradscope.records import Kind, Run
from gradscope.store import read
from pages.frame import address, choice, command, show, source, tasks

KIND = "exits"
COSTS = {"MACs": "macs", "parameters": "parameters", "time": "milliseconds"}
RULES = ["confidence", "entropy"]
SIDE, GAP, PICTURES = 56, 4, 6  # of a shown picture and around it in pixels, and how many of an exit
HOW = """
Above, each point is an exit of a run that answers **all** test pictures: to the right it costs more, further up it is
better. The dashed line is the same network when every picture leaves at the first exit that is sure enough, at ten
thresholds; where it lies above the line through the exits, choosing by picture pays. Diamonds are networks without
exits: an exit above a diamond that is no further right does the smaller network's work better. **Calibration error** is
the gap between how sure an exit says it is and how often it is right: leaving early needs it to be small. In the maps a
row is an exit and a column a layer of the backbone: orange = the exit's loss pulls the layer along, blue = against the
other exits. An exit has no part in what lies behind it. Time was measured on the device that the table names.
"""


def settings_to_measure() -> Exits:
    """What the popover asks for."""
    images = st.number_input(
        "Test pictures", 10, None, Exits().images, key="exit_images", bind="query-params", step=500
    )
    batch = st.number_input(
        "Pictures answered at once", 1, 10_000, Exits().batch_size, key="exit_batch", bind="query-params"
    )
    st.caption("Every exit answers them by itself, then twenty thresholds decide who leaves early; all of it is timed.")
    return Exits(images=images, batch_size=int(batch))


def measure_button(runs: list[Run], settings: Exits) -> None:
    """Starts what the popover asks for."""
    command.button(
        f"Measure {'1 run' if len(runs) == 1 else f'{len(runs)} runs'}",
        lambda: tasks.submit_all(runs, lambda run_id: jobs.submit_task(store, run_id, settings)),
        type="primary",
        key="measure_exits",
        disabled=not runs or store.read_only,
    )


def pick(label: str, options: list[str], key: str) -> str:
    """One small choice in the address."""
    address.seed(key, options, options[0])
    found = st.segmented_control(
        label,
        options,
        key=key,
        default=options[0],
        required=True,
        bind="query-params",
        label_visibility="collapsed",
        format_func=lambda text: text.replace("_", " "),
    )
    return str(found or options[0])


@dataclass(frozen=True, kw_only=True)
class View:
    """Choices of the row above the figures."""

    cost: str
    rule: str
    focus: Run | None
    """The run with exits that the lower figures are about."""


def controls(runs: list[Run]) -> View:
    """The row above the figures."""
    with_exits = {run.id: run for run in runs if has_exits(run.config)}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        cost = COSTS[pick("Cost", list(COSTS), "cost")]
        rule = pick("Leaving by", RULES, "rule")
        focus = None
        if with_exits:
            address.seed("exits_of", list(with_exits), next(iter(with_exits)), lambda i: choice.text_of(with_exits[i]))
            chosen = st.selectbox(
                "Exits of",
                list(with_exits),
                key="exits_of",
                format_func=lambda i: choice.text_of(with_exits[i]) if i in with_exits else str(i),
                bind="query-params",
                label_visibility="collapsed",
                width=260,
            )
            focus = with_exits.get(chosen)
        with st.popover("Measure", icon=":material/science:"):
            measure_button([run for run in runs if tasks.has_network(store, run)], settings_to_measure())
    return View(cost=cost, rule=rule, focus=focus)


def draw_trade_off(runs: list[Run], exits: pd.DataFrame, moving: bool) -> None:
    """The main picture, or the button that brings it."""
    if exits.empty:
        able = [run for run in runs if tasks.has_network(store, run)]
        text = "Here will be accuracy against cost: the exits of these runs and what leaving early saves. "
        ways = {True: "It comes as soon as the first run is measured.", False: "Press Measure above."}
        none = "Runs can be measured once they have a checkpoint, after their first epoch."
        st.info(text + (ways[moving] if able else none), icon=":material/info:")
        return
    figure = trade_off(exits, source.exit_sweeps(store, runs), choice.look(runs), cost=view.cost, rule=view.rule)
    show.chart(figure, "trade_off", "test accuracy of every exit and of leaving when sure against cost")
    missing = [run for run in runs if run.id not in set(exits["run"]) and tasks.has_network(store, run)]
    if missing:
        st.caption(f"Not measured yet: {', '.join(plain(choice.text_of(run)) for run in missing)}.")


def draw_training(run: Run) -> None:
    """Accuracy, loss or calibration of every exit over the epochs."""
    names = source.metric_names(store, [run])
    wanted = {what: tuple(metric_names(names, what)) for what in WHATS}
    st.subheader("Over the training", anchor=False)
    if not any(wanted.values()):
        st.info("The first points come with the validation after the first epoch.", icon=":material/hourglass_empty:")
        return
    for place, what in zip(st.columns(len(WHATS)), WHATS, strict=True):
        with place:
            curves = by_exit(source.metrics(store, [run], wanted[what]))
            show.chart(exit_curves(curves, what), f"exits_{what}", f"{what} of every exit by epoch")


def draw_leaving(run: Run, exits: pd.DataFrame) -> None:
    """Who leaves where at a threshold, with pictures."""
    own = exits[exits["run"] == run.id]
    if own.empty:
        return
    answers = source.exit_answers(store, run, str(own["fingerprint"].iloc[0]), int(own["images"].iloc[0]))
    if answers is None:
        return
    st.subheader("Who leaves where", anchor=False)
    limit = threshold(answers)
    left = left_at(answers, view.rule, limit)
    found = leavers(answers, left)
    st.markdown(sentence(found, own))
    chart, pictures = st.columns([2, 3], gap="medium")
    with chart:
        show.chart(leaving(found, height=300), "leaving", "share of the pictures and accuracy by exit")
    with pictures:
        gallery(answers, left)


def threshold(answers: ExitAnswers) -> float:
    """The slider of the rule."""
    if view.rule == "confidence":
        return float(st.slider("Leave when at least so sure", 0.0, 1.0, 0.8, 0.01, key="sure", bind="query-params"))
    most = round(float(np.log(len(answers.classes))), 1)
    return float(
        st.slider("Leave at an entropy of at most (nats)", 0.0, most, 0.5, 0.05, key="nats", bind="query-params")
    )


def sentence(found: pd.DataFrame, own: pd.DataFrame) -> str:
    """What leaving there saves and costs, in numbers."""
    macs = own["macs_asking"].to_numpy(dtype=np.float64)
    saved = 1 - float((found["share"].to_numpy() * macs).sum()) / float(own["macs"].iloc[-1])
    right = found["accuracy"].fillna(0.0) * found["share"]
    accuracy, last = float(right.sum()), float(own["accuracy"].iloc[-1])
    return (
        f"Leaving there {in_words(saved)} multiply-accumulates: accuracy **{accuracy:.1%}**, "
        f"with the last exit for all **{last:.1%}**, on {count(int(found['pictures'].sum()))} test pictures."
    )


def gallery(answers: ExitAnswers, left: np.ndarray) -> None:
    """Easy pictures of the early exits, the hardest of the last."""
    n_exits = len(answers.answers)
    shown = [exit_ for exit_ in range(n_exits) if len(examples(answers, left, exit_, 1))]
    for exit_ in shown[:4] + [e for e in shown[4:] if e == n_exits - 1]:
        places = examples(answers, left, exit_, PICTURES)
        hard = exit_ == n_exits - 1
        st.caption(
            f"Exit {exit_ + 1}, {'the least sure' if hard else 'the surest'}: true class, in brackets a wrong answer"
        )
        st.image(
            [framed(enlarged(picture(answers.images[place]), SIDE)) for place in places],
            caption=[words(answers, exit_, place) for place in places],
            width=SIDE + 2 * GAP,
        )


def framed(pixels: np.ndarray) -> np.ndarray:
    """With a transparent gap around it, RGBA."""
    opaque = np.dstack([pixels, np.full(pixels.shape[:2], 255, np.uint8)])
    return np.pad(opaque, ((GAP, GAP), (GAP, GAP), (0, 0)))


def words(answers: ExitAnswers, exit_: int, place: int) -> str:
    """Under a picture."""
    true, said = int(answers.labels[place]), int(answers.answers[exit_][place])
    return plain(answers.classes[true] + ("" if true == said else f" ({answers.classes[said]})"))


def draw_gradients(run: Run) -> None:
    """Which exit feeds which layer, and what layers get with exits and without."""
    terms = source.term_gradients(store, [run])
    st.subheader("Gradient by exit", anchor=False)
    if terms.empty:
        text = "No gradient was split by exit: that needs exits that are updated together and recorded steps."
        st.info(text, icon=":material/info:")
        return
    step = count(int(terms["step"].iloc[0]))
    shares, angles = shares_by_exit(terms), cosines_to_last(source.term_cosines(store, [run]))
    one, two = st.columns(2)
    with one:
        text = f"Share of each exit in a layer's gradient, step {step}"
        show.chart(exit_map(shares, "share", text), "exit_shares", "share of each exit by layer")
    with two:
        text = "Cosine with the last exit's gradient"
        show.chart(exit_map(angles, "cosine", text), "exit_cosines", "cosine of each exit with the last by layer")
    other = twin(run, read.runs(store))
    pair = [run, *([other] if other else [])]
    profile = backbone_profile(source.profile(store, pair, Kind.GRADIENT))
    figure = gradient_decay(profile, choice.look(pair), height=220, title="Gradient of every layer, with and without")
    show.chart(figure, "with_and_without", "RMS of every layer's gradient with exits and without")
    if other is None:
        st.caption("No run of the same settings without exits to compare with: launch one without the method elastic.")


def draw_table(run: Run, exits: pd.DataFrame) -> None:
    """The exits of a run in numbers."""
    own = exits[exits["run"] == run.id]
    if own.empty:
        return
    frame = pd.DataFrame(
        {
            "exit": own["exit"],
            "behind": own["point"].fillna("the whole network"),
            "accuracy": 100 * own["accuracy"],
            "loss": own["loss"].map(significant),
            "calibration error": 100 * own["calibration_error"],
            "MACs": own["macs"].map(count),
            "parameters": own["parameters"].map(count),
            "ms a picture": own["milliseconds"].map(significant),
        }
    )
    percent = st.column_config.NumberColumn(format="%.1f %%")
    columns = {"accuracy": percent, "calibration error": percent}
    st.dataframe(frame, hide_index=True, key="exit_table", column_config=columns, height="content")
    first = own.iloc[0]
    st.caption(
        f"{count(int(first['images']))} test pictures, {int(first['batch_size'])} at once, on {first['device']}."
    )


def draw(runs: list[Run]) -> None:
    """Everything that moves."""
    found = tasks.of(store, runs, KIND)
    tasks.panel(store, runs, found, "pictures")
    exits = source.exits(store, runs)
    draw_trade_off(runs, exits, tasks.is_moving(found))
    focus = next((run for run in runs if view.focus and run.id == view.focus.id), None)
    if focus:
        draw_training(focus)
        draw_leaving(focus, exits)
        draw_gradients(focus)
        draw_table(focus, exits)
    show.how_to_read(HOW, exits, "elastic_exits")
    if tasks.is_moving(found) is not moving:  # a task was started or has ended here: watch it, or stop watching
        st.rerun()


store = source.the_store()
show.header("Elastic exits", __doc__)
runs_shown = show.runs_or_next_step(store, "exits", preset="elastic-resnet")
if not any(has_exits(run.config) for run in runs_shown) and source.exits(store, runs_shown).empty:
    message = "None of these runs has exits. Launch one from a preset elastic-…, or choose others at the left."
    show.nothing(message, show.LAUNCH, "Launch one with exits", preset="elastic-resnet")
moving = tasks.is_moving(tasks.of(store, runs_shown, KIND))
view = controls(runs_shown)
show.live(store, draw, moving=moving)
