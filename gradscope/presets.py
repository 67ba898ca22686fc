"""Named starting points: each shows one thing about gradient flow."""

from dataclasses import dataclass

from gradscope.config import (
    BatchNorm,
    ClipValue,
    CosineWave,
    Initialisation,
    Mlp,
    PaperCnn,
    PseudoNorm,
    Resnet,
    RunConfig,
    Sgd,
    Train,
)
from gradscope.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A config with a name and one line that says what it shows."""

    name: str
    shows: str
    config: RunConfig


def _preset(name: str, shows: str, config: RunConfig) -> Preset:
    return Preset(name=name, shows=shows, config=config.model_copy(update={"preset": name}))


# 30 layers with weights of gain 1.25 and biases of standard deviation 0.6 saturate tanh without losing the forward
# signal: the derivatives, and not the weights, eat the gradient, which is the case that pseudo-normalisation cures.
_DEEP_TANH = Mlp(depth=30, width=64, activation="tanh")
_SATURATED = Initialisation(scheme="lecun", gain=1.25, bias_std=0.6)
# from about 0.02 on the pseudo-normalised net is unstable, so the three nets share a rate that suits all of them
_DEEP_TANH_OPTIMIZER = Sgd(lr=0.005)
_DEEP_TANH_TRAIN = Train(epochs=25)

# Bu et al. 2026: plain SGD, batch 50, value clip 0.5, L2 0.003, a cosine wave a period, an epoch each, constant tail.
# The peak rate is lost in our copy of the paper; 0.05 is our proposal.
_PAPER_OPTIMIZER = Sgd(lr=0.05, weight_decay=0.003)
_PAPER_SCHEDULE = CosineWave(period_epochs=1, min_lr=1e-4, tail_epochs=20, tail_lr=1e-4)
_PAPER_TRAIN = Train(epochs=90, batch_size=50)


def _deep_tanh(model: Mlp, *methods: PseudoNorm | ClipValue) -> RunConfig:
    return RunConfig(
        model=model, methods=(_SATURATED, *methods), optimizer=_DEEP_TANH_OPTIMIZER, train=_DEEP_TANH_TRAIN
    )


def _paper(activation: str, *methods: Initialisation | PseudoNorm | ClipValue) -> RunConfig:
    return RunConfig(
        model=PaperCnn.model_validate({"variant": 1, "activation": activation}),
        methods=methods,
        optimizer=_PAPER_OPTIMIZER,
        schedule=_PAPER_SCHEDULE,
        train=_PAPER_TRAIN,
    )


PRESETS: dict[str, Preset] = {
    p.name: p
    for p in (
        _preset(
            "sigmoid",
            "Ten sigmoid layers: the gradient shrinks by a factor at every layer and the first ones never learn.",
            RunConfig(
                model=Mlp(depth=10, activation="sigmoid"),
                methods=(Initialisation(scheme="xavier"),),
                optimizer=Sgd(lr=0.1),
            ),
        ),
        _preset(
            "tanh",
            "Thirty saturated tanh layers without a remedy: the derivatives eat the gradient.",
            _deep_tanh(_DEEP_TANH),
        ),
        _preset(
            "tanh-pn",
            "The same net with pseudo-normalised gradients in every other layer: the first layers learn again.",
            _deep_tanh(_DEEP_TANH, PseudoNorm(every=2), ClipValue(limit=0.5)),
        ),
        _preset(
            "tanh-residual",
            "The same net with shortcuts: the gradient takes the way around the derivatives.",
            _deep_tanh(_DEEP_TANH.model_copy(update={"residual": True})),
        ),
        _preset(
            "relu",
            "Ten ReLU layers with He initialisation: healthy from the start.",
            RunConfig(model=Mlp(depth=10, activation="relu"), methods=(Initialisation(scheme="he"),)),
        ),
        _preset(
            "relu-batch-norm",
            "Thirty ReLU layers held in range by batch normalisation.",
            RunConfig(model=Mlp(depth=30, activation="relu"), methods=(BatchNorm(), Initialisation(scheme="he"))),
        ),
        _preset(
            "resnet",
            "ResNet-20: what most people use, as a reference for a flat gradient.",
            RunConfig(
                model=Resnet(depth=20),
                methods=(Initialisation(scheme="he"),),
                optimizer=Sgd(lr=0.1, momentum=0.9, weight_decay=1e-4),
                train=Train(batch_size=128),
            ),
        ),
        _preset(
            "paper-tanh",
            "The paper's ten-layer tanh CNN, model 1, without pseudo-normalisation.",
            _paper("tanh", Initialisation(scheme="lecun"), ClipValue(limit=0.5)),
        ),
        _preset(
            "paper-tanh-pn",
            "The same, pseudo-normalised (Bu et al. 2026); with cifar10 and augment=flip_crop as published.",
            _paper("tanh", Initialisation(scheme="lecun"), PseudoNorm(every=2), ClipValue(limit=0.5)),
        ),
        _preset(
            "paper-relu",
            "The paper's ReLU twin, with He initialisation (LeCun's would be a handicap).",
            _paper("relu", Initialisation(scheme="he"), ClipValue(limit=0.5)),
        ),
    )
}


def preset(name: str) -> Preset:
    """The preset of that name, or a ConfigError that lists them."""
    if name not in PRESETS:
        raise ConfigError(f"preset {name!r} is unknown; use one of {', '.join(PRESETS)}")
    return PRESETS[name]
