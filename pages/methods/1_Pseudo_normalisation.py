"""Would pseudo-normalisation help this net, before anything is trained?"""

from functools import partial
from typing import Literal, cast

import numpy as np
import pandas as pd
import streamlit as st

from gradscope.config import PseudoNorm
from gradscope.figures.decay import gradient_decay
from gradscope.figures.pseudo_norm import NORMALISED, PLAIN, layer_gains, layer_shares, map_cells, scale_map
from gradscope.figures.style import PALETTE, RunStyle
from gradscope.records import Kind
from gradscope.theory.gradient_flow import (
    Activation,
    Flow,
    Passes,
    Scope,
    flow,
    gains,
    normalised,
    passes,
    shares_above_one,
)
from gradscope.theory.nets import Samples, digit_samples, gaussian_samples, lecun_net
from gradscope.theory.pseudo_norm_effect import (
    Decay,
    Effect,
    decade_map,
    decades,
    decades_in_derivatives,
    effect,
    plain_sentence,
    treated_sentence,
)
from pages.frame import kinds, show

SEED, SAMPLES, PIXELS, CLASSES = 0, 32, 64, 10
MAP_SAMPLES, MAP_WIDTH = 8, 32
WEIGHT_SCALES = [0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0]
BIAS_SCALES = [0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0]
NAMES = {1: "plain", 2: "every second layer", 3: "every layer"}
SHORT = {1: "plain", 2: "every second", 3: "every layer"}
LOOKS = {
    i: RunStyle(label=SHORT[i], colour=PALETTE[c], dash=dash, shape=shape)
    for i, c, dash, shape in ((1, 3, (1, 0), "circle"), (2, 1, (6, 3), "square"), (3, 0, (2, 2), "triangle-up"))
}
BADGES: dict[Effect, tuple[Literal["gray", "green", "blue", "red", "orange"], str]] = {
    Effect.NOTHING_TO_CURE: ("gray", ":material/check:"),
    Effect.CURES: ("green", ":material/healing:"),
    Effect.EASES: ("blue", ":material/trending_up:"),
    Effect.DOES_NOTHING: ("gray", ":material/block:"),
    Effect.EXPLODES: ("red", ":material/bolt:"),
    Effect.WORSENS: ("red", ":material/bolt:"),
}
FORM = "direct: the gain also multiplies the layer's own gradient; dual: only what lies below its pair"
HOW = """
One forward and one backward pass of a fully connected net at its first step, no training: the gradient of each layer
as it is, with the derivative of every second activation divided by its root mean square (Bu et al. 2026), and of every
one. **Cured** is a curve that runs flat where the plain one falls to the left. Pseudo-normalisation can only give back
what the derivatives take: where the weights make the gradient **vanish** (weight scale below 1, small biases) the three
curves lie over each other. Where large weights and saturated units held each other in balance, giving back one of the
two makes the gradient **explode** to the left. A treated curve is not the gradient of the loss, only a direction.
Squares among the small pictures' marks are the layers that *every second layer* normalises. The paper expects 32 % of
the derivatives above 1 once normalised, as of a Gaussian; f' of tanh lies near its largest value instead: 68 % while
its inputs are small, fewer the more units are saturated.
Weights are N(0, scale² / inputs), biases N(0, scale²): `gain` and `bias_std` of the method `initialisation`.
"""


@st.cache_resource(show_spinner=False, max_entries=8)
def samples(source: str, n: int) -> Samples:
    """Drawn once: digits are read from a file."""
    return digit_samples(n, SEED) if source == "digits" else gaussian_samples(n, PIXELS, CLASSES, SEED)


def treatments(form: str, scope: str) -> dict[int, PseudoNorm | None]:
    """The three curves."""
    every = {1: None, 2: 2, 3: 1}
    return {i: PseudoNorm(form=form, every=k, scope=scope) if k else None for i, k in every.items()}


def controls() -> dict[str, str]:
    """The two rows above the figures; the sliders are read by their keys."""
    left, middle, right = st.columns(3)
    left.slider("Depth (weight layers)", 3, 100, 50, key="net_depth", bind="query-params")
    middle.slider("Weight scale", 0.5, 3.0, 1.0, 0.05, key="weight_scale", bind="query-params")
    right.slider("Bias scale", 0.0, 2.0, 0.5, 0.05, key="bias_scale", bind="query-params")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        found = {
            "kind": kinds.choose("curve").value,
            "activation": choose("Activation", "net_activation", ["tanh", "sigmoid"]),
            "form": choose("Form", "form", ["direct", "dual"], FORM),
            "scope": choose("RMS per", "scope", ["sample", "batch"]),
        }
        with st.popover("More", icon=":material/tune:"):
            found["width"] = choose("Width", "net_width", ["32", "64", "128"], default="64")
            found["data"] = choose("Input", "net_input", ["random", "digits"])
    return found


def choose(label: str, key: str, options: list[str], text: str | None = None, default: str | None = None) -> str:
    """One small choice in the address."""
    first = default or options[0]
    found = st.segmented_control(label, options, key=key, default=first, required=True, bind="query-params", help=text)
    return str(found or first)


def profile(flows: dict[int, Flow], kind: str) -> pd.DataFrame:
    """The curves as layer statistics, for the figure that draws those of runs."""
    frames = []
    for treatment, found in flows.items():
        values = getattr(found, kind)
        layer = np.arange(len(values))
        broken = ~np.isfinite(values)
        frames.append(pd.DataFrame({"run": treatment, "layer": layer, "rms": values, "nan": broken.astype(int)}))
    rows = pd.concat(frames, ignore_index=True)
    rows["name"] = [f"fc{i + 1}" for i in rows["layer"]]
    rows["depth"] = rows["layer"] / rows["layer"].max()
    zeros = (rows["rms"] == 0).astype(int)
    return rows.assign(n=1, step=0, zeros=zeros, pos_inf=0, neg_inf=0, max_abs=np.nan)


def verdicts(found: Passes, flows: dict[int, Flow]) -> None:
    """What each treatment does, in a badge and a sentence."""
    plain, derivatives = decades(flows[1]), decades_in_derivatives(found)
    cases = {i: Decay(plain=plain, treated=decades(flows[i]), derivatives=derivatives) for i in (2, 3)}
    st.markdown(plain_sentence(cases[2]))
    for treatment, decay in cases.items():
        kind = effect(decay)
        colour, icon = BADGES[kind]
        st.badge(f"{NAMES[treatment]}: {kind.value}", color=colour, icon=icon)
        st.caption(treated_sentence(decay))


def layer_table(found: Passes, scope: Scope) -> pd.DataFrame:
    """Gain and share above 1 of each hidden layer, a row a layer."""
    n = len(found.derivatives)
    chosen = normalised(n, 2)
    gain, share = gains(found, scope), shares_above_one(found, scope)
    kind = [NORMALISED if i in chosen else PLAIN for i in range(n)]
    return pd.DataFrame({"layer": range(n), "gain": gain, "share": share, "kind": kind})


@st.cache_data(show_spinner=False, max_entries=64)
def maps(depth: int, activation: Activation, data: str, form: str) -> np.ndarray:
    """Decades over the two scales for the three treatments."""
    net = lecun_net(depth, MAP_WIDTH, PIXELS, CLASSES, activation=activation, seed=SEED)
    treated = treatments(form, "sample").values()
    return decade_map(net, samples(data, MAP_SAMPLES), WEIGHT_SCALES, BIAS_SCALES, list(treated))


def draw_maps(found: np.ndarray) -> None:
    """The three maps side by side; a click moves the sliders there."""
    here = [
        min(options, key=lambda v: abs(v - st.session_state[key]))
        for options, key in ((WEIGHT_SCALES, "weight_scale"), (BIAS_SCALES, "bias_scale"))
    ]
    grid = [(s, t, [s, t] == here) for s in WEIGHT_SCALES for t in BIAS_SCALES]
    for column, (i, name), values in zip(st.columns([5, 5, 6]), NAMES.items(), found, strict=True):
        cells = pd.DataFrame(grid, columns=["weight_scale", "bias_scale", "here"]).assign(decades=values.ravel())
        figure = partial(scale_map, title=name, height=260, legend=i == max(NAMES))
        with column:
            show.quick_chart(figure, map_cells(cells), f"map_{i}", f"decades of decay, {name}", partial(move_to, i))


def move_to(treatment: int) -> None:
    """A clicked cell of a map: its scales become the sliders'."""
    cell = show.picked(f"map_{treatment}")
    if cell:
        st.session_state["weight_scale"] = float(cell["weight_scale"])
        st.session_state["bias_scale"] = float(cell["bias_scale"])


show.header("Pseudo-normalisation", __doc__)
choices = controls()
depth = int(st.session_state["net_depth"])
activation = cast(Activation, choices["activation"])
net = lecun_net(depth, int(choices["width"]), PIXELS, CLASSES, activation=activation, seed=SEED)
run = passes(net, *samples(choices["data"], SAMPLES), st.session_state["weight_scale"], st.session_state["bias_scale"])
treated = {i: flow(run, t) for i, t in treatments(choices["form"], choices["scope"]).items()}
curves = profile(treated, choices["kind"])
left, right = st.columns([3, 2], gap="medium")
with left:
    figure = gradient_decay(curves, LOOKS, kind=Kind(choices["kind"]), height=430)
    show.chart(figure, "treatments", f"{choices['kind']} RMS against depth, plain and pseudo-normalised")
with right:
    verdicts(run, treated)
    table = layer_table(run, cast(Scope, choices["scope"]))
    show.quick_chart(partial(layer_gains, height=160), table, "gains", "gain of each layer")
    show.quick_chart(
        partial(layer_shares, height=160), table, "shares", "share of normalised derivatives above 1, by layer"
    )
st.subheader("Where it helps", anchor=False)
st.caption(
    "Decades by which the signal changes from the last hidden layer down to the first: blue vanishes, orange "
    f"explodes. The ring is the cell nearest to the sliders; a click moves them. Width {MAP_WIDTH}, one RMS a sample."
)
draw_maps(maps(depth, activation, choices["data"], choices["form"]))
show.how_to_read(HOW, curves, "pseudo_normalisation")
