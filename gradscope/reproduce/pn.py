"""Bu, Jiang, Lu & Zhang 2026, "Mitigating the Vanishing Gradient Problem Using a Pseudo-Normalizing Method".

Stated in the paper: ten layers, tanh but for the softmax; plain SGD, batch 50, LeCun normal weights, values clipped at
0.5, regularisation 0.003; a cosine schedule with a period, the last 20 of 90 epochs at 1e-4; on CIFAR-100 160 epochs
and a rate that rises in the first half of a period; random flips and crops as augmentation. Its tables of
architectures, noise accuracies and radar accuracies, and the learning rates, are lost in the copy that we have.
"""

from typing import Any, Literal

from gradscope.config import AnyData, Cifar10, Cifar100, PseudoNorm, Rdrd, Record, RunConfig
from gradscope.presets import preset
from gradscope.reproduce.paper import Contrast, Difference, Experiment, Paper, Published

LOST = "lost in our copy"
NOT_SAID = "not said"

_DUAL = PseudoNorm(form="dual")
_RATE = preset("paper-tanh-pn-dual").config.optimizer.lr

# as little validation as allowed in round numbers: the paper trains on all 50,000 pictures
_VALIDATION = 0.02
_CIFAR10 = Cifar10(val_fraction=_VALIDATION)


def _config(name: str, data: AnyData = _CIFAR10) -> RunConfig:
    """A preset of the paper on a data set, in float32 throughout, recorded now and then."""
    base = preset(name).config
    train = base.train.model_copy(update={"mixed_precision": False})
    return base.model_copy(update={"data": data, "train": train, "record": Record(every=500)})


def _treated(config: RunConfig, *treatments: PseudoNorm) -> RunConfig:
    """The config with these in place of the pseudo-normalisation that it has."""
    others = [m for m in config.methods if not isinstance(m, PseudoNorm)]
    return RunConfig(**{**dict(config), "methods": (*others, *treatments)})


def _augmented(data: AnyData) -> Any:  # Any: a union member, which pydantic's copy does not name
    return data.model_copy(update={"augment": "flip_crop"})


_VARIES = "varies a setting that the paper leaves open"


def _varied(
    name: str, title: str, preset_name: str = "paper-tanh-pn-dual", **sections: dict[str, object]
) -> Experiment:
    """The dual form, or another preset, with settings of some sections changed that the paper leaves open."""
    config = _config(preset_name)
    changed = {section: getattr(config, section).model_copy(update=values) for section, values in sections.items()}
    return Experiment(name=name, title=title, config=config.model_copy(update=changed), unpublished=_VARIES, sweep=True)


def _radar(
    name: str, title: str, split: Literal["random", "recording"], *methods: PseudoNorm, stride: int = 1
) -> Experiment:
    """Model 2 on stacks of three radar frames; 30 epochs with a tail of the same share are our proposal."""
    config = _treated(_config("paper-2-pn", Rdrd(split=split, stride=stride)), *methods)
    schedule = config.schedule.model_copy(update={"tail_epochs": _RADAR_TAIL_EPOCHS})
    train = config.train.model_copy(update={"epochs": _RADAR_EPOCHS})
    return Experiment(
        name=name,
        title=title,
        config=config.model_copy(update={"schedule": schedule, "train": train}),
        unpublished=(
            "the paper's table is lost; its text says that others do better and that the result is fair for the "
            "network's size"
        ),
        differences=(*_RADAR, *(_BY_RECORDING if split == "recording" else ())),
        sweep=stride > 1,
    )


_RADAR_EPOCHS, _RADAR_TAIL_EPOCHS = 30, 7
_RADAR = (
    Difference(setting="epochs on radar frames", paper=NOT_SAID, ours=str(_RADAR_EPOCHS)),
    Difference(
        setting="stacks of three frames",
        paper="whether they overlap is not said",
        ours="they overlap by two; apart in the sweep",
    ),
    Difference(setting="values of a frame", paper=NOT_SAID, ours="in dB, rounded to 256 levels"),
)
_BY_RECORDING = (
    Difference(setting="split", paper="random, 70/15/15", ours="whole recordings, so that no test stack has a twin"),
)

_MODEL_1 = Published(accuracy=0.805, remark="its form of pseudo-normalisation is not said")
_RELU = Published(accuracy=0.767, remark="neither its initialisation nor its augmentation is said")

_FORM = Difference(setting="form", paper="figure 1 shows two paths; which form was trained is not said", ours="both")
_RELU_START = Difference(
    setting="initialisation", paper="LeCun normal is said of the tanh nets only", ours="both tried"
)
_CIFAR100 = (
    Difference(
        setting="shape of a period",
        paper="the rate rises in its first half",
        ours="(1 - cos) / 2, from the lowest rate",
    ),
    Difference(setting="epochs at 1e-4 at the end", paper="said of the 90 epochs on CIFAR-10 only", ours="20 here too"),
)

_SWEEP = (
    _varied("rate-0.02", "Dual form, peak rate 0.02", optimizer={"lr": 0.02}),
    _varied("rate-0.1", "Dual form, peak rate 0.1", optimizer={"lr": 0.1}),
    _varied("tanh-rate-0.02", "Plain tanh, peak rate 0.02", "paper-tanh", optimizer={"lr": 0.02}),
    _varied("tanh-rate-0.1", "Plain tanh, peak rate 0.1", "paper-tanh", optimizer={"lr": 0.1}),
    _varied("lowest-rate-0.005", "Dual form, lowest rate 0.005", schedule={"min_lr": 0.005}),
    _varied("period-10", "Dual form, period of 10 epochs", schedule={"period_epochs": 10.0}),
    _varied("input-symmetric", "Dual form, input from -1 to 1", data={"normalise": "symmetric"}),
    _varied("input-by-image", "Dual form, each picture normalised", data={"normalise": "image"}),
    _varied("width-0.5", "Dual form, half as wide", model={"width": 0.5}),
    _varied("width-1.5", "Dual form, 1.5 times as wide", model={"width": 1.5}),
    Experiment(
        name="scope-batch",
        title="Dual form, one RMS a batch",
        config=_treated(_config("paper-tanh-pn-dual"), _DUAL.model_copy(update={"scope": "batch"})),
        unpublished=_VARIES,
        sweep=True,
    ),
    Experiment(
        name="every-layer",
        title="Dual form, every layer normalised",
        config=_treated(_config("paper-tanh-pn-dual"), _DUAL.model_copy(update={"every": 1})),
        unpublished="the paper says that not every layer may be normalised, without a figure",
        sweep=True,
    ),
    _radar("rdrd-apart", "Model 2, radar, random split, stacks apart", "random", _DUAL, stride=3),
)

_OF_THE_SWEEP = (
    Contrast(question="Is a lower peak rate better?", first="rate-0.02", second="pn-dual"),
    Contrast(question="Is a higher peak rate better?", first="rate-0.1", second="pn-dual"),
    Contrast(question="Does it help at the lower rate?", first="rate-0.02", second="tanh-rate-0.02"),
    Contrast(question="Does it help at the higher rate?", first="rate-0.1", second="tanh-rate-0.1"),
    Contrast(question="Does a higher rate do as much for plain tanh?", first="tanh-rate-0.1", second="pn-dual"),
    Contrast(question="Is a higher lowest rate better?", first="lowest-rate-0.005", second="pn-dual"),
    Contrast(question="Is a longer period better?", first="period-10", second="pn-dual"),
    Contrast(question="Is an input from -1 to 1 better?", first="input-symmetric", second="pn-dual"),
    Contrast(question="Is each picture normalised better?", first="input-by-image", second="pn-dual"),
    Contrast(question="Is half the width worse?", first="width-0.5", second="pn-dual"),
    Contrast(question="Is more width better?", first="width-1.5", second="pn-dual"),
    Contrast(question="Does one RMS a batch matter?", first="scope-batch", second="pn-dual"),
    Contrast(question="Does normalising every layer hurt?", first="every-layer", second="pn-dual"),
    Contrast(question="Do stacks that overlap flatter?", first="rdrd-random", second="rdrd-apart"),
)

PAPER = Paper(
    name="pn",
    title="Pseudo-normalised gradients",
    citation="Bu, Jiang, Lu & Zhang 2026, Entropy 28(1) 57, doi 10.3390/e28010057",
    experiments=(
        Experiment(
            name="tanh",
            title="Model 1, plain tanh",
            config=_config("paper-tanh"),
            noise=True,
            unpublished="our control: the paper trains no plain tanh net",
        ),
        Experiment(
            name="pn-direct",
            title="Model 1, direct form",
            config=_config("paper-tanh-pn"),
            published=_MODEL_1,
            differences=(_FORM,),
        ),
        Experiment(
            name="pn-dual",
            title="Model 1, dual form",
            config=_config("paper-tanh-pn-dual"),
            published=_MODEL_1,
            differences=(_FORM,),
            noise=True,
        ),
        Experiment(
            name="pn-dual-augmented",
            title="Model 1, dual form, augmented",
            config=_config("paper-tanh-pn-dual", _augmented(_CIFAR10)),
            published=Published(accuracy=0.8261),
            differences=(_FORM,),
            noise=True,
        ),
        Experiment(
            name="relu-he",
            title="Model 1, ReLU, He",
            config=_config("paper-relu"),
            published=_RELU,
            differences=(_RELU_START,),
            noise=True,
        ),
        Experiment(
            name="relu-lecun",
            title="Model 1, ReLU, LeCun",
            config=_config("paper-relu-lecun"),
            published=_RELU,
            differences=(_RELU_START,),
        ),
        Experiment(
            name="model-2",
            title="Model 2, dual form",
            config=_treated(_config("paper-2-pn"), _DUAL),
            published=Published(accuracy=0.805, remark='the paper says "nearly the same" as model 1'),
            differences=(_FORM,),
        ),
        Experiment(
            name="model-2-augmented",
            title="Model 2, dual form, augmented",
            config=_treated(_config("paper-2-pn", _augmented(_CIFAR10)), _DUAL),
            published=Published(accuracy=0.8419),
            differences=(_FORM,),
        ),
        Experiment(
            name="model-3",
            title="Model 3, CIFAR-100, dual form, augmented",
            config=_treated(_config("paper-3-pn", _augmented(Cifar100(val_fraction=_VALIDATION))), _DUAL),
            published=Published(accuracy=0.6123),
            differences=(_FORM, *_CIFAR100),
        ),
        _radar("rdrd-random", "Model 2, radar, random split, dual form", "random", _DUAL),
        _radar("rdrd-random-tanh", "Model 2, radar, random split, plain tanh", "random"),
        _radar("rdrd-recording", "Model 2, radar, split by recording, dual form", "recording", _DUAL),
        _radar("rdrd-recording-tanh", "Model 2, radar, split by recording, plain tanh", "recording"),
        *_SWEEP,
    ),
    differences=(
        Difference(
            setting="filters, strides, padding",
            paper=LOST,
            ours="3x3, padding 1, stride 2 for pooling; widths by us, others in the sweep",
        ),
        Difference(setting="peak learning rate", paper=LOST, ours=f"{_RATE:g}, chosen beforehand; others in the sweep"),
        Difference(
            setting="lowest learning rate", paper=LOST, ours="1e-4, the rate of the last epochs; 0.005 in the sweep"
        ),
        Difference(setting="period of the cosine", paper="read as one epoch", ours="1 epoch; 10 in the sweep"),
        Difference(setting="momentum", paper=NOT_SAID, ours="none"),
        Difference(
            setting="normalisation of the input", paper="its equation is lost", ours="by channel; others in the sweep"
        ),
        Difference(
            setting="one RMS for",
            paper="not said; its equations are for one sample",
            ours="a sample; batch in the sweep",
        ),
        Difference(
            setting="layers normalised",
            paper="every other layer",
            ours="tanh 9, 7, 5 and 3 of 9, as in figure 1; all in the sweep",
        ),
        Difference(setting="biases at the start", paper=NOT_SAID, ours="0"),
        Difference(setting="regularisation 0.003", paper="its form is not said", ours="L2 on weights and biases"),
        Difference(setting="padding of the random crop", paper=NOT_SAID, ours="4 pixels"),
        Difference(setting="training pictures", paper="all 50,000", ours="2 % kept for validation at full scale"),
        Difference(
            setting="levels of the noise", paper="lost, with its table of accuracies", ours="standard deviations by us"
        ),
        Difference(setting="accuracy", paper=NOT_SAID, ours="on the test set after the last epoch"),
    ),
    noise_claim="The paper says that Gaussian noise hurts more than uniform noise of the same size.",
    contrasts=(
        Contrast(question="Does pseudo-normalisation help a tanh net?", first="pn-dual", second="tanh"),
        Contrast(question="Does the direct form help a tanh net?", first="pn-direct", second="tanh"),
        Contrast(question="Does the form matter?", first="pn-dual", second="pn-direct"),
        Contrast(question="Does it beat ReLU with He's start?", first="pn-dual", second="relu-he"),
        Contrast(question="Is LeCun's start a handicap for ReLU?", first="relu-he", second="relu-lecun"),
        Contrast(question="Does augmentation help?", first="pn-dual-augmented", second="pn-dual"),
        Contrast(question="Does it help on radar, random split?", first="rdrd-random", second="rdrd-random-tanh"),
        Contrast(
            question="Does it help on radar, split by recording?",
            first="rdrd-recording",
            second="rdrd-recording-tanh",
        ),
        Contrast(question="Does the random split flatter?", first="rdrd-random", second="rdrd-recording"),
        Contrast(question="Is model 2 better than model 1?", first="model-2", second="pn-dual"),
        *_OF_THE_SWEEP,
    ),
)
