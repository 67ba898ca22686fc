"""What may help against each finding, as settings that this run can take, best first."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from gradscope.analysis.findings.finding import Finding, Remedy
from gradscope.config import RunConfig, parse_config
from gradscope.errors import ConfigError
from gradscope.overrides import with_overrides

Settings = Mapping[str, str]


def _remedy(title: str, settings: Settings, why: str = "") -> Remedy:
    return Remedy(title=title, settings=settings, why=why)


def _rate(config: RunConfig, factor: float) -> Settings:
    return {"optimizer.lr": f"{config.optimizer.lr * factor:.3g}"}


def _rates(*factors: float) -> Callable[[RunConfig], list[Remedy]]:
    def choices(config: RunConfig) -> list[Remedy]:
        return [
            _remedy(
                f"{'raise' if f > 1 else 'lower'} the learning rate to {_rate(config, f)['optimizer.lr']}",
                _rate(config, f),
            )
            for f in factors
        ]

    return choices


def _fixed(*choices: Remedy) -> Callable[[RunConfig], list[Remedy]]:
    return lambda config: list(choices)


_SCHEME = {"relu": "he", "leaky_relu": "he", "gelu": "he", "silu": "he", "elu": "he"}


def _usual_start(config: RunConfig) -> list[Remedy]:
    """The initialisation that keeps the size of signals with this activation."""
    scheme = _SCHEME.get(getattr(config.model, "activation", "relu"), "xavier")
    settings = {
        "methods.initialisation.scheme": scheme,
        "methods.initialisation.gain": "1",
        "methods.initialisation.bias_std": "0",
    }
    return [_remedy(f"initialise by {scheme}, gain 1", settings)]


_RELU = _remedy(
    "ReLU with He initialisation",
    {
        "model.activation": "relu",
        "methods.initialisation.scheme": "he",
        "methods.initialisation.gain": "1",
        "methods.initialisation.bias_std": "0",
    },
)
_NORM = _remedy("batch normalisation", {"methods.batch_norm": "on"})
_SHORTCUTS = _remedy("shortcuts around every layer", {"model.residual": "true"})
_PSEUDO = _remedy(
    "pseudo-normalised gradients, clipped",
    {"methods.pseudo_norm.every": "2", "methods.clip_value.limit": "0.5"},
)
_ADAM = _remedy(
    "Adam",
    {"optimizer.name": "adam", "optimizer.lr": "0.001"},
    "Its steps do not depend on the size of the gradient.",
)
_CLIP = _remedy("clip the gradient's norm at 1", {"methods.clip_norm.max_norm": "1"})
_LEAKY = _remedy(
    "leaky ReLU",
    {"model.activation": "leaky_relu"},
    "It has a slope below zero too, so no unit can die.",
)
_CHANNELS = _remedy("normalise each channel", {"data.normalise": "channel"})
_NO_CLIP = _remedy("no clipping", {"methods.clip_norm": "off", "methods.clip_value": "off"})
_NO_PSEUDO = _remedy("no pseudo-normalisation", {"methods.pseudo_norm": "off"})
_ROOT = _remedy(
    "ReLU in place of pseudo-normalisation",
    {**_RELU.settings, "methods.pseudo_norm": "off"},
    "With He initialisation its gradient needs none.",
)
_SPARSER = _remedy("pseudo-normalise every other layer only", {"methods.pseudo_norm.every": "2"})


def _several(*parts: Callable[[RunConfig], list[Remedy]]) -> Callable[[RunConfig], list[Remedy]]:
    return lambda config: [choice for part in parts for choice in part(config)]


REMEDIES: Mapping[str, Callable[[RunConfig], list[Remedy]]] = {
    "vanishing_gradient": _several(_fixed(_RELU, _NORM, _SHORTCUTS, _ADAM, _PSEUDO)),
    "exploding_gradient": _several(_usual_start, _fixed(_NORM, _CLIP), _rates(0.1)),
    "exploding_signal": _several(_usual_start, _fixed(_NORM), _rates(0.1)),
    "dying_signal": _several(_usual_start, _fixed(_NORM, _SHORTCUTS)),
    "saturated_units": _several(_usual_start, _fixed(_NORM, _RELU)),
    "dead_units": _several(_usual_start, _fixed(_LEAKY, _NORM), _rates(0.1)),
    "no_update": _several(_fixed(_ADAM), _rates(100, 1000, 10)),
    "large_update": _several(_rates(0.1, 0.01), _fixed(_CLIP)),
    "clipping": _several(_fixed(_NO_CLIP, _CLIP)),
    "amplification": _several(_usual_start, _rates(0.1), _fixed(_SPARSER, _NO_PSEUDO, _ROOT)),
    "nonfinite": _several(_rates(0.1), _fixed(_CLIP), _usual_start),
    "plateau": _several(_fixed(_ADAM), _usual_start, _rates(10, 0.1), _fixed(_NORM)),
    "slow_convergence": _several(_rates(10, 100), _fixed(_ADAM)),
    "oscillating_loss": _several(_rates(0.1, 0.01), _fixed(_remedy("a larger batch", {"train.batch_size": "128"}))),
    "overfitting": _several(
        _fixed(
            _remedy("weight decay", {"optimizer.weight_decay": "0.001"}),
            _remedy("mirrored and shifted pictures", {"data.augment": "flip_crop"}),
        )
    ),
    "input_scale": _several(_fixed(_CHANNELS)),
}
"""By the finding's name; each takes the run's settings and gives what may help."""


def usual_remedies() -> Sequence[Callable[[RunConfig], Sequence[Remedy]]]:
    """What helps many a run of which nothing is found and that learns little all the same, best first."""
    parts = (_usual_start, _fixed(_ADAM), _rates(3), _rates(3), _rates(0.3), _fixed(_NORM), _fixed(_SHORTCUTS))
    return [partial(_fitting, part) for part in parts]


def _fitting(choices: Callable[[RunConfig], list[Remedy]], config: RunConfig) -> list[Remedy]:
    """Those that this run can take and does not have yet."""
    return [remedy for remedy in choices(config) if _fits(config, remedy.settings)]


ADVICE: Mapping[str, Sequence[str]] = {
    "no_gradient": ("look for detach(), no_grad() or a branch that the loss does not use",),
    "nonfinite": ("look for a logarithm or a division by zero, and for values in the data that are not finite",),
    "output_activation": ("hand the loss the logits: remove the softmax, sigmoid or ReLU after the output layer",),
    "wrong_loss": ("use cross entropy on the logits, with its own sign",),
    "input_scale": ("subtract the mean of the inputs and divide by their standard deviation",),
    "overfitting": ("more data, or a smaller network",),
    "plateau": ("check that the labels belong to the pictures",),
    "gradient_conflict": (
        "lower the weight of the term that matters less",
        "attach the two terms to layers of their own, or look whether one of them has the wrong target",
    ),
    "amp_overflow": ("lower the growth of the loss scale, or train in bfloat16, which cannot overflow",),
}
"""What only code or data can change."""


def settings_of(config: Mapping[str, Any]) -> RunConfig | None:  # Any: whatever settings a run has
    """The settings of a run that GradScope trained; None for a loop of somebody's own."""
    if "model" not in config or "optimizer" not in config:
        return None
    try:
        return parse_config(config)
    except ConfigError:
        return None


def remedies_for(finding: Finding, config: RunConfig | None, horizon: int) -> tuple[Remedy, ...]:
    """What may help against a finding: settings that this run can take and does not have yet, then advice.

    Args:
        finding: what was found.
        config: of the run; None for a loop of somebody's own, for which there is advice alone.
        horizon: steps of the whole training.
    """
    advice = (Remedy(title=text, settings={}) for text in ADVICE.get(finding.name, ()))
    if config is None:
        return tuple(advice)
    stop = _stop_at(config, finding.since, horizon) if finding.name == "overfitting" else []
    choices = REMEDIES.get(finding.name, _fixed())
    return (*_fitting(lambda _: stop, config), *_fitting(choices, config), *advice)


def _stop_at(config: RunConfig, step: int, horizon: int) -> list[Remedy]:
    """To end with the epoch that ends at a step."""
    epochs = max(1, round((step + 1) / max(horizon, 1) * config.train.epochs))
    settings = {"train.epochs": str(epochs)}
    return [_remedy(f"stop after {epochs} epochs", settings, "There the validation loss was lowest.")]


def _fits(config: RunConfig, settings: Settings) -> bool:
    try:
        changed = with_overrides(config, settings)
    except ConfigError:
        return False
    return changed != config
