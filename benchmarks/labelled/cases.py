"""What is trained: a healthy training of some kind, or the same kind with one fault planted.

Everything is drawn at random by the case's number: a case of an even number is for choosing thresholds, one of an odd
number for reporting. To draw a set that nobody has seen, change SEED: what was reported once is burned, and may serve
to choose on from then on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from gradscope.config import Mlp, RunConfig, Train
from gradscope.overrides import with_overrides

SEED = 191
STEPS = 320
"""About; whole epochs of it."""

Rng = np.random.Generator
Half = Literal["choose", "report"]
HALVES: tuple[Half, Half] = ("choose", "report")


@dataclass(frozen=True, kw_only=True)
class Plant:
    """What no setting of a run can say: a slip in the code or in the data."""

    input_scale: float = 1.0
    input_offset: float = 0.0
    weight_gain: float = 1.0
    """Of every weight of two dimensions or more, recurrent ones too, after initialisation."""
    hidden_bias: float | None = None
    """Of every hidden unit."""
    cut_before: int | None = None
    """The layer of this index gets its input detached, so that those before it are never trained."""
    frozen: int = 0
    """So many first layers are frozen on purpose."""
    output: Literal["logits", "softmax", "relu", "sigmoid"] = "logits"
    loss: Literal["cross_entropy", "nll_of_logits", "negated"] = "cross_entropy"
    random_labels: float = 0.0
    """Share of the training labels that are drawn anew."""
    train_size: int | None = None
    bad_row: float | None = None
    """One training picture holds this value."""
    log_of_relu: bool = False
    """The output layer's input passes through log(relu(x))."""
    second_term: Literal["teacher", "penalty", "wrong_teacher"] | None = None
    """What is added to the loss: softened labels, the squares of the outputs, or labels that are each one class off."""
    term_weight: float = 1.0
    growth_interval: int | None = None
    """Forward passes in float16 under gradient scaling whose scale is doubled after so many steps; None: float32."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training of the set."""

    number: int
    fault: str
    """`healthy`, or the name of a planted fault, a key of TRUTHS."""
    network: str
    data: str
    config: RunConfig
    """Its model's depth, width, ... are those of the network, whichever that is."""
    plant: Plant = field(default_factory=Plant)

    @property
    def half(self) -> Half:
        return HALVES[self.number % 2]

    @property
    def name(self) -> str:
        return f"{self.number:03d} {self.fault} {self.network} {self.data}"

    def changed(self, settings: Mapping[str, Any]) -> "Case":  # Any: whatever a setting may be
        return replace(self, config=with_overrides(self.config, settings))

    def planted(self, **changes: Any) -> "Case":  # Any: as above
        return replace(self, plant=replace(self.plant, **changes))


DATA = {
    "mlp": ("blobs", "circles", "digits", "cifar"),
    "cnn": ("digits", "cifar"),
    "rnn": ("digits",),
    "gru": ("digits",),
    "lstm": ("digits",),
}
KINDS = (*["mlp"] * 4, *["cnn"] * 3, "rnn", "gru", "lstm")
MOST_EPOCHS = {"blobs": 40, "circles": 40, "digits": 15, "cifar": 12}
SIZES = {"blobs": 480, "circles": 640, "digits": 1438, "cifar": 720}
SMOOTH = ("tanh", "elu", "selu", "gelu", "silu", "softplus")
RECTIFIED = ("relu", "leaky_relu")
INITS = {"relu": "he", "leaky_relu": "he", "gelu": "he", "silu": "he", "elu": "he", "softplus": "xavier"}


def one_of(rng: Rng, *options: Any) -> Any:  # Any: whatever is to be chosen from
    return options[rng.integers(len(options))]


def between(rng: Rng, low: float, high: float) -> float:
    """Log-uniform, two digits."""
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.2g}")


def healthy(rng: Rng, number: int, networks: tuple[str, ...] = KINDS) -> Case:
    """Settings as a practitioner would choose them."""
    network = one_of(rng, *networks)
    data = one_of(rng, *DATA[network])
    recurrent = network in ("rnn", "gru", "lstm")
    depth = int(rng.integers(2, 4) if recurrent else rng.integers(3, 7) if network == "cnn" else rng.integers(2, 10))
    activation = one_of(rng, *RECTIFIED, *SMOOTH) if depth > 3 or recurrent else one_of(rng, "sigmoid", "relu", "tanh")
    batch_size = one_of(rng, 16, 32, 64)
    case = Case(
        number=number,
        fault="healthy",
        network=network,
        data=data,
        config=RunConfig(
            model=Mlp(depth=depth, width=one_of(rng, 16, 32, 48), activation=activation),
            train=Train(epochs=epochs_for(data, batch_size), batch_size=batch_size, seed=number),
        ),
    )
    case = case.changed(_optimiser(rng, recurrent or activation == "sigmoid", network == "cnn"))
    if not recurrent:
        norm = rng.random() < 0.25
        scheme = INITS.get(activation, "xavier" if activation == "sigmoid" else "lecun")
        case = case.changed({"model.batch_norm": norm, "model.residual": depth > 4 and rng.random() < 0.3})
        case = case.changed({"methods.initialisation.scheme": scheme})
        if case.config.model.residual and not norm:  # what the shortcuts add up to asks for smaller weights and steps
            case = case.changed({"optimizer.lr": case.config.optimizer.lr / 4, "methods.initialisation.gain": 0.4})
    return _extras(rng, case)


def epochs_for(data: str, batch_size: int) -> int:
    """So that there are about STEPS steps, and no more epochs than leave a healthy network without overfitting."""
    return max(3, min(round(STEPS * batch_size / SIZES[data]), MOST_EPOCHS[data]))


def _optimiser(rng: Rng, needs_adam: bool, needs_momentum: bool) -> dict[str, Any]:  # Any: settings
    plain = () if needs_momentum else ("sgd",)
    name = one_of(rng, "adam", "adamw", "rmsprop") if needs_adam else one_of(rng, *plain, "momentum", "adam", "rmsprop")
    if name == "momentum":
        rate = between(rng, 0.03, 0.06) if needs_momentum else between(rng, 0.01, 0.03)
        return {"optimizer.name": "sgd", "optimizer.momentum": 0.9, "optimizer.lr": rate}
    rates = {"sgd": (0.05, 0.12), "adam": (2e-3, 6e-3), "adamw": (2e-3, 6e-3), "rmsprop": (1e-3, 3e-3)}
    return {"optimizer.name": name, "optimizer.lr": between(rng, *rates[name])}


def _extras(rng: Rng, case: Case) -> Case:
    """What some people add, and what harms nothing."""
    if rng.random() < 0.3:
        case = case.changed({"schedule.name": one_of(rng, "cosine", "step")})
    if rng.random() < 0.2:
        case = case.changed({"methods.clip_norm.max_norm": one_of(rng, 1.0, 5.0)})
    if rng.random() < 0.2:
        case = case.changed({"optimizer.weight_decay": 1e-4})
    if case.network in ("mlp", "cnn") and case.config.model.depth > 3 and rng.random() < 0.08:
        case = case.planted(frozen=1)
    if case.network == "mlp" and rng.random() < 0.1:
        case = case.planted(growth_interval=2000)
    return case


def _shallow(rng: Rng, number: int, *networks: str) -> Case:
    """A healthy case without norms, shortcuts or frozen layers, on plain gradient descent: nothing hides a fault."""
    case = healthy(rng, number, networks or ("mlp", "mlp", "cnn"))
    case = case.changed({"model.batch_norm": False, "model.residual": False, "optimizer.name": "sgd"})
    case = case.changed(
        {"optimizer.lr": between(rng, 0.05, 0.1), "methods.clip_norm": "off", "schedule.name": "constant"}
    )
    return case.planted(frozen=0, growth_interval=None)


def vanishing(rng: Rng, number: int) -> Case:
    """Deep and sigmoid, or deep and saturated tanh."""
    case = _shallow(rng, number)
    if rng.random() < 0.6:
        changes = {"model.activation": "sigmoid", "model.depth": int(rng.integers(7, 14))}
        return case.changed({**changes, "methods.initialisation.scheme": one_of(rng, "xavier", "lecun")})
    changes = {"model.activation": "tanh", "model.depth": int(rng.integers(22, 31)), "model.width": 32}
    gain, spread = rng.uniform(1.0, 1.1), rng.uniform(0.8, 1.1)
    return case.changed(
        {**changes, "methods.initialisation.gain": round(gain, 2), "methods.initialisation.bias_std": round(spread, 2)}
    )


def exploding(rng: Rng, number: int) -> Case:
    """Deep, weights far too large, an activation that lets them through."""
    case = _shallow(rng, number)
    changes = {
        "model.activation": one_of(rng, "relu", "leaky_relu", "elu", "identity"),
        "model.depth": int(rng.integers(7, 13)),
    }
    return case.changed(
        {**changes, "methods.initialisation.scheme": "he", "methods.initialisation.gain": between(rng, 2.2, 4)}
    )


def dying_signal(rng: Rng, number: int) -> Case:
    """Weights so small that every layer puts out less than the one before."""
    case = _shallow(rng, number)
    changes = {
        "model.activation": one_of(rng, "relu", "tanh", "elu", "leaky_relu"),
        "model.depth": int(rng.integers(7, 13)),
    }
    return case.changed({**changes, "methods.initialisation.gain": between(rng, 0.15, 0.35)})


def dead_units(rng: Rng, number: int) -> Case:
    """ReLU with biases far below zero."""
    case = _shallow(rng, number)
    return case.changed({"model.activation": "relu", "model.depth": int(rng.integers(3, 7))}).planted(
        hidden_bias=-between(rng, 3, 10)
    )


def saturated_units(rng: Rng, number: int) -> Case:
    """Tanh or sigmoid with weights so large that nearly all outputs sit at the ends."""
    case = _shallow(rng, number)
    changes = {"model.activation": one_of(rng, "tanh", "sigmoid"), "model.depth": int(rng.integers(3, 6))}
    return case.changed({**changes, "methods.initialisation.gain": between(rng, 30, 80)})


def tiny_rate(rng: Rng, number: int) -> Case:
    """A learning rate with which nothing moves."""
    case = healthy(rng, number)
    rate = between(rng, 1e-7, 1e-6) if case.config.optimizer.name == "sgd" else between(rng, 1e-8, 1e-7)
    return case.changed({"optimizer.lr": rate})


def small_rate(rng: Rng, number: int) -> Case:
    """A learning rate a hundredth of what is needed."""
    case = healthy(rng, number)
    return case.changed({"optimizer.lr": case.config.optimizer.lr / between(rng, 60, 150), "schedule.name": "constant"})


def large_rate(rng: Rng, number: int) -> Case:
    """A learning rate with which each step undoes the one before."""
    case = healthy(rng, number)
    name = case.config.optimizer.name
    rate = between(rng, 2, 20) if name == "sgd" else between(rng, 0.2, 1.5)
    return case.changed({"optimizer.lr": rate, "methods.clip_norm": "off"})


def oscillating(rng: Rng, number: int) -> Case:
    """A rate or a momentum that overshoots again and again; tanh keeps it from blowing up."""
    case = _shallow(rng, number, "mlp")
    changes = {"model.activation": "tanh", "model.depth": int(rng.integers(3, 6)), "train.batch_size": 16}
    if rng.random() < 0.5:
        changes |= {"optimizer.lr": between(rng, 2, 4)}
    else:
        changes |= {"optimizer.lr": between(rng, 0.2, 0.4), "optimizer.momentum": 0.95}
    return case.changed({**changes, "train.epochs": epochs_for(case.data, 16)})


def no_gradient(rng: Rng, number: int) -> Case:
    """Somebody wrote detach() before a layer."""
    case = healthy(rng, number, ("mlp", "cnn"))
    depth = max(4, case.config.model.depth)
    return case.changed({"model.depth": depth, "model.residual": False}).planted(
        cut_before=int(rng.integers(1, depth - 1)), frozen=0
    )


def nonfinite(rng: Rng, number: int) -> Case:
    """The logarithm of zero in the network, or a broken picture."""
    case = healthy(rng, number, ("mlp", "cnn"))
    if rng.random() < 0.5:
        return case.changed({"model.activation": "relu"}).planted(log_of_relu=True)
    return case.planted(bad_row=one_of(rng, float("nan"), float("inf")))


def clipped(rng: Rng, number: int) -> Case:
    """A norm so low that every step is cut to nothing, on plain gradient descent."""
    case = _shallow(rng, number)
    return case.changed({"methods.clip_norm.max_norm": between(rng, 1e-4, 1e-3)})


def amplified(rng: Rng, number: int) -> Case:
    """Pseudo-normalised gradients in a saturated network at a rate for plain ones."""
    case = _shallow(rng, number, "mlp")
    changes = {"model.activation": "tanh", "model.depth": int(rng.integers(16, 26)), "model.width": 32}
    start = {"methods.initialisation.gain": 1.25, "methods.initialisation.bias_std": 0.6}
    return case.changed({**changes, **start, "methods.pseudo_norm.every": 1, "optimizer.lr": between(rng, 0.1, 0.3)})


def unlearnable(rng: Rng, number: int) -> Case:
    """Labels that have nothing to do with the pictures, of which there are too many to remember."""
    case = healthy(rng, number, ("mlp", "cnn", "gru"))
    return (
        replace(case, data="digits")
        .changed({"train.batch_size": 32, "train.epochs": 5})
        .planted(random_labels=1.0, frozen=0)
    )


def overfitting(rng: Rng, number: int) -> Case:
    """Few pictures, some labels wrong, a network that remembers them."""
    case = healthy(rng, number, ("mlp", "cnn"))
    case = replace(
        case, data=one_of(rng, "digits", "cifar", "blobs") if case.network == "mlp" else one_of(rng, "digits", "cifar")
    )
    changes = {
        "model.width": 64,
        "optimizer.name": "adam",
        "optimizer.lr": between(rng, 2e-3, 5e-3),
        "model.activation": "relu",
    }
    changes |= {"train.batch_size": 16, "train.epochs": 70, "schedule.name": "constant", "methods.clip_norm": "off"}
    return case.changed(changes).planted(train_size=72, random_labels=0.4, frozen=0)


def raw_inputs(rng: Rng, number: int) -> Case:
    """Pictures in 0..255 and not normalised."""
    case = _shallow(rng, number)
    return case.planted(input_scale=between(rng, 40, 150), input_offset=round(rng.uniform(0, 100)))


def wrong_output(rng: Rng, number: int) -> Case:
    """An activation between the output layer and a loss that expects logits."""
    case = healthy(rng, number)
    return case.planted(output=one_of(rng, "softmax", "relu", "sigmoid"), frozen=0)


def wrong_loss(rng: Rng, number: int) -> Case:
    """A loss of something else than what the network puts out, or with the wrong sign."""
    case = healthy(rng, number)
    return case.planted(loss=one_of(rng, "nll_of_logits", "negated"), frozen=0)


def overflowing(rng: Rng, number: int) -> Case:
    """Gradient scaling whose scale grows far too soon, so that steps are lost again and again."""
    case = healthy(rng, number, ("mlp",))
    return case.planted(growth_interval=int(rng.integers(1, 9)), frozen=0)


FAULTS: Mapping[str, Callable[[Rng, int], Case]] = {
    "vanishing": vanishing,
    "exploding": exploding,
    "dying_signal": dying_signal,
    "dead_units": dead_units,
    "saturated_units": saturated_units,
    "tiny_rate": tiny_rate,
    "small_rate": small_rate,
    "large_rate": large_rate,
    "oscillating": oscillating,
    "no_gradient": no_gradient,
    "nonfinite": nonfinite,
    "clipped": clipped,
    "amplified": amplified,
    "unlearnable": unlearnable,
    "overfitting": overfitting,
    "raw_inputs": raw_inputs,
    "wrong_output": wrong_output,
    "wrong_loss": wrong_loss,
    "overflowing": overflowing,
}


TWO_TERMS = 10_000
"""From this number on the loss has two terms, and their gradients are recorded one by one."""


def conflicting(rng: Rng, number: int) -> Case:
    """A second term that asks for another class."""
    case = healthy(rng, number, ("mlp", "cnn"))
    weight = between(rng, 0.6, 1.2)
    return case.planted(second_term="wrong_teacher", term_weight=weight, frozen=0, growth_interval=None)


def concordant(rng: Rng, number: int) -> Case:
    """A second term that helps, or asks for little."""
    case = healthy(rng, number, ("mlp", "cnn")).planted(growth_interval=None)
    if rng.random() < 0.5:
        return case.planted(second_term="teacher", term_weight=between(rng, 0.3, 2))
    return case.planted(second_term="penalty", term_weight=between(rng, 1e-3, 1e-2))


def draw(number: int) -> Case:
    """The case of a number: every second pair is healthy, the others go round the faults."""
    rng = np.random.default_rng([SEED, number])
    pair = number // 2
    if number >= TWO_TERMS:
        return concordant(rng, number) if pair % 2 == 0 else replace(conflicting(rng, number), fault="conflicting")
    if pair % 2 == 0:
        return healthy(rng, number)
    name = list(FAULTS)[pair // 2 % len(FAULTS)]
    return replace(FAULTS[name](rng, number), fault=name)
