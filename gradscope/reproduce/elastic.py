"""Zhou, Bai, Bhattacharyya & Huttunen 2018, "Elastic Neural Networks for Classification", arXiv 1810.00589.

Stated: exits of mean, dropout and dense layer; all weights 1; CIFAR resized to 224x224 (299 for Inception) and not
augmented; ImageNet weights; the heads alone for some tens of epochs, then everything. From the first author's code of a
later variant: where the exits sit; SGD, momentum 0.9, weight decay 1e-4, rate 0.01, batch 256, 100 epochs. Optimiser,
rate and batch behind the paper's own tables, which were made with Keras, are lost to us.
"""

from gradscope.config import (
    AnyModel,
    Cifar10,
    Cifar100,
    Cosine,
    Elastic,
    MobileNet,
    Record,
    Resnet,
    RunConfig,
    Sgd,
    Torchvision,
    Train,
)
from gradscope.config.models import Architecture
from gradscope.reproduce.paper import Contrast, Difference, Experiment, Paper, Published, PublishedExit

NOT_SAID = "not said"
FROZEN_EPOCHS = 10
"""The paper says "some tens"; these are trained with the rate of the rest."""

# as little validation as allowed in round numbers: the paper trains on all 50,000 pictures
_CIFAR = {"c10": Cifar10(val_fraction=0.02), "c100": Cifar100(val_fraction=0.02)}
_NAMES = {"c10": "CIFAR-10", "c100": "CIFAR-100"}

_NO_WEIGHTS = Difference(
    setting="weights at the start of MobileNet", paper="ImageNet", ours="random: nobody publishes them for PyTorch"
)
_FIVE = Difference(
    setting="places of ResNet-50-5's exits",
    paper="lost in our copy",
    ours="ends of the first three stages, the last block but one, and the end: five in all",
)


def _config(data: str, model: AnyModel, *methods: Elastic) -> RunConfig:
    """As published, as far as that is known."""
    return RunConfig(
        data=_CIFAR[data],
        model=model,
        methods=methods,
        optimizer=Sgd(lr=0.01, momentum=0.9, weight_decay=1e-4),
        schedule=Cosine(),
        train=Train(epochs=100, batch_size=256),
        record=Record(every=500),
    )


def _lighter(data: str, model: AnyModel, *methods: Elastic) -> RunConfig:
    """At 32x32 and from random weights, with what suits that: fixed before anything was trained."""
    return RunConfig(
        data=_CIFAR[data],
        model=model,
        methods=methods,
        optimizer=Sgd(lr=0.05, momentum=0.9, weight_decay=1e-4),
        schedule=Cosine(),
        train=Train(epochs=100, batch_size=64),
        record=Record(every=500),
    )


def _published(architecture: Architecture) -> Torchvision:
    size = 299 if architecture == "inception_v3" else 224
    return Torchvision(architecture=architecture, stem="imagenet", size=size, pretrained=True)


def _small(architecture: Architecture) -> Torchvision:
    # Inception has no form for small pictures; 96 is the least in round numbers that it takes
    stem = {"stem": "imagenet", "size": 96} if architecture == "inception_v3" else {}
    return Torchvision.model_validate({"architecture": architecture, **stem})


def _pair(
    name: str,
    title: str,
    data: str,
    models: tuple[AnyModel, AnyModel],
    errors: tuple[float, float],
    *,
    heavy: bool = True,
    differences: tuple[Difference, ...] = (),
    exits: tuple[PublishedExit, ...] = (),
) -> tuple[Experiment, Experiment]:
    """A row of table I on one data set: without exits and with them; errors in per cent."""
    frozen = 0 if isinstance(models[0], MobileNet) else FROZEN_EPOCHS
    made = [
        Experiment(
            name=f"{name}-{data}{suffix}",
            title=f"{title}, {_NAMES[data]}{words}",
            config=_config(data, models[0], *methods),
            lighter=_lighter(data, models[1], *(m.model_copy(update={"frozen_epochs": 0}) for m in methods)),
            published=Published(accuracy=round(1 - error / 100, 4)),
            differences=differences,
            heavy=heavy,
            exits=exits if methods else (),
        )
        for suffix, words, methods, error in (
            ("", "", (), errors[0]),
            ("-elastic", ", exits", (Elastic(frozen_epochs=frozen),), errors[1]),
        )
    ]
    return made[0], made[1]


def _rows(
    name: str, title: str, architecture: Architecture, c10: tuple[float, float], c100: tuple[float, float]
) -> tuple[Experiment, ...]:
    models = (_published(architecture), _small(architecture))
    exits = _TABLE_2 if architecture == "densenet169" else ()
    return (*_pair(name, title, "c10", models, c10), *_pair(name, title, "c100", models, c100, exits=exits))


def _five(data: str, error: float) -> Experiment:
    """ResNet-50-5; without exits it is the ResNet-50 above."""
    return Experiment(
        name=f"resnet50-5-{data}-elastic",
        title=f"ResNet-50-5, {_NAMES[data]}, exits",
        config=_config(data, _published("resnet50"), Elastic(exits="five", frozen_epochs=FROZEN_EPOCHS)),
        lighter=_lighter(data, _small("resnet50"), Elastic(exits="five")),
        published=Published(accuracy=round(1 - error / 100, 4)),
        differences=(_FIVE,),
        heavy=True,
    )


def _own(name: str, title: str, depth: int, *methods: Elastic) -> Experiment:
    """A residual network for small pictures, which the paper does not have."""
    model = Resnet.model_validate({"depth": depth})
    return Experiment(
        name=name,
        title=title,
        config=_lighter("c10", model, *methods),
        unpublished="ours: the paper has no network for small pictures",
    )


_TABLE_2 = (
    PublishedExit(accuracy=0.2663, parameters=0.39e6),
    PublishedExit(accuracy=0.5104, parameters=1.47e6),
    PublishedExit(accuracy=0.7714, parameters=6.71e6),
    PublishedExit(accuracy=0.7835, parameters=20.90e6),
)
_MOBILENET = (MobileNet(stem="imagenet", size=224), MobileNet())
_MODELS = ("densenet121", "densenet169", "inception", "mobilenet", "vgg16", "resnet50")

PAPER = Paper(
    name="elastic",
    title="Elastic neural networks",
    citation="Zhou, Bai, Bhattacharyya & Huttunen 2018, arXiv 1810.00589",
    experiments=(
        _own("resnet8", "ResNet-8, CIFAR-10", 8),
        _own("resnet14", "ResNet-14, CIFAR-10", 14),
        _own("resnet20", "ResNet-20, CIFAR-10", 20),
        _own("resnet20-elastic", "ResNet-20, CIFAR-10, exits", 20, Elastic()),
        *_pair("mobilenet", "MobileNet", "c10", _MOBILENET, (10.37, 7.82), heavy=False, differences=(_NO_WEIGHTS,)),
        *_pair("mobilenet", "MobileNet", "c100", _MOBILENET, (38.60, 25.22), differences=(_NO_WEIGHTS,)),
        *_rows("densenet121", "DenseNet-121", "densenet121", (6.35, 5.44), (24.48, 23.44)),
        *_rows("densenet169", "DenseNet-169", "densenet169", (8.14, 5.58), (23.06, 21.65)),
        *_rows("inception", "Inception-V3", "inception_v3", (6.39, 4.48), (24.98, 21.83)),
        *_rows("vgg16", "VGG-16", "vgg16_bn", (7.71, 8.20), (38.06, 33.03)),
        *_rows("resnet50", "ResNet-50", "resnet50", (5.54, 6.19), (21.96, 24.20)),
        _five("c10", 5.39),
        _five("c100", 21.54),
    ),
    differences=(
        Difference(setting="framework", paper="Keras", ours="PyTorch"),
        Difference(
            setting="optimiser, rate, batch and epochs",
            paper="lost; those of the first author's later code are SGD, 0.01, 256 and 100",
            ours="the later code's, with a cosine to 0 in place of its steps at plateaus",
        ),
        Difference(setting="loss of an exit", paper="cross entropy divided by the number of classes", ours="undivided"),
        Difference(
            setting="epochs of the heads alone",
            paper="some tens",
            ours=f"{FROZEN_EPOCHS} at full scale, in elastic nets",
        ),
        Difference(setting="training pictures", paper="all 50,000", ours="2 % kept for validation at full scale"),
        Difference(setting="VGG-16", paper="whether with batch norm is not said", ours="with, as in the later code"),
        Difference(setting="accuracy", paper=NOT_SAID, ours="of the last exit on the test set after the last epoch"),
    ),
    contrasts=(
        Contrast(question="Do exits help ResNet-20?", first="resnet20-elastic", second="resnet20"),
        *(
            Contrast(
                question=f"Do exits help {model} on {_NAMES[data]}?",
                first=f"{model}-{data}-elastic",
                second=f"{model}-{data}",
            )
            for data in _NAMES
            for model in _MODELS
        ),
        *(
            Contrast(
                question=f"Are five outputs better than sixteen on {_NAMES[data]}?",
                first=f"resnet50-5-{data}-elastic",
                second=f"resnet50-{data}-elastic",
            )
            for data in _NAMES
        ),
    ),
)
