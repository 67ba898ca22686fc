"""Zhou, Wang & Li 2024, "Knowledge Distillation Based on Narrow-Deep Networks", Neural Processing Letters, doi
10.1007/s11063-024-11646-5.

Of the paper only the abstract is known to us: a trained teacher; an unmodified, a wide and a narrow-deep ResNet learn
its output; CIFAR-100 and Pascal VOC; the narrow-deep student comes close to the teacher with a much shorter response
time. Widths, depths, temperature, weights and every number are lost. The family below has students of one size in
parameters and multiply-accumulates, and Hinton's loss, which is what learning an output is.
"""

from gradscope.config import (
    Cifar10,
    Cifar100,
    Initialisation,
    KdHinton,
    Record,
    Resnet,
    RunConfig,
    Sgd,
    StepDecay,
    Train,
)
from gradscope.reproduce.paper import Contrast, Difference, Experiment, Paper

_UNKNOWN = "the numbers of the paper are not known to us"
_DATA = Cifar100(val_fraction=0.02, augment="flip_crop")
TEACHER = Resnet(depth=110)
FAMILY: dict[str, tuple[str, Resnet, Resnet]] = {
    # name: what it is, at full scale, and what stands for it at the smaller ones
    "plain": ("unmodified student", Resnet(depth=20), Resnet(depth=14, width=10)),
    "wide": ("wide student", Resnet(depth=14, width=20), Resnet(depth=8)),
    "narrow-deep": ("narrow-deep student", Resnet(depth=56, width=9), Resnet(depth=20, width=8)),
    "narrow-deep-mild": ("narrow-deep student, milder", Resnet(depth=32, width=12), Resnet(depth=26, width=7)),
    "narrow-deep-extreme": ("narrow-deep student, extreme", Resnet(depth=110, width=6), Resnet(depth=32, width=6)),
}
_LARGEST = {"narrow-deep-mild", "narrow-deep-extreme"}


def _config(model: Resnet, *methods: KdHinton) -> RunConfig:
    """The recipe of RepDistiller and mdistiller."""
    return RunConfig(
        data=_DATA,
        model=model,
        methods=(Initialisation(scheme="he"), *methods),
        optimizer=Sgd(lr=0.05, momentum=0.9, weight_decay=5e-4),
        schedule=StepDecay(milestones=(150 / 240, 180 / 240, 210 / 240)),
        train=Train(epochs=240, batch_size=64, mixed_precision=False),
        record=Record(every=500),
    )


def _lighter(model: Resnet, *methods: KdHinton) -> RunConfig:
    """On CIFAR-10: with a few thousand pictures a hundred classes have too few each."""
    full = _config(model, *methods)
    record = Record(every=50, log="gradients")
    return full.model_copy(update={"data": Cifar10(), "schedule": StepDecay(milestones=(0.6, 0.85)), "record": record})


def _pair(name: str) -> tuple[Experiment, Experiment]:
    title, model, small = FAMILY[name]
    shown = f"ResNet-{model.depth}, width {model.width}"
    alone = Experiment(
        name=name,
        title=f"{title}, {shown}, alone",
        config=_config(model),
        unpublished=_UNKNOWN,
        lighter=_lighter(small),
        heavy=name in _LARGEST,
    )
    taught = Experiment(
        name=f"{name}-kd",
        title=f"{title}, {shown}, taught",
        config=_config(model, KdHinton()),
        unpublished=_UNKNOWN,
        lighter=_lighter(small, KdHinton()),
        heavy=name in _LARGEST,
        teacher="teacher",
    )
    return alone, taught


_ALONE_AND_TAUGHT = tuple(experiment for name in FAMILY for experiment in _pair(name))

PAPER = Paper(
    name="narrow-deep",
    title="Narrow-deep students",
    citation="Zhou, Wang & Li 2024, Neural Processing Letters, doi 10.1007/s11063-024-11646-5",
    experiments=(
        Experiment(
            name="teacher",
            title=f"teacher, ResNet-{TEACHER.depth}, width {TEACHER.width}",
            config=_config(TEACHER),
            unpublished=_UNKNOWN,
            lighter=_lighter(Resnet(depth=20)),
        ),
        *_ALONE_AND_TAUGHT,
    ),
    differences=(
        Difference(setting="networks", paper="widths and depths are not known to us", ours="a family of equal size"),
        Difference(
            setting="networks and data below full scale",
            paper="CIFAR-100",
            ours="CIFAR-10; ResNet-20 teaches ResNet-14 (width 10), ResNet-8 (16) and ResNet-20 (8)",
        ),
        Difference(setting="loss", paper="the teacher's output is learnt", ours="Hinton's, T = 4, weights 0.1, 0.9"),
        Difference(setting="recipe", paper="not known to us", ours="as in RepDistiller: 240 epochs, rate 0.05"),
        Difference(setting="Pascal VOC", paper="the second data set", ours="not run here"),
    ),
    contrasts=(
        *(
            Contrast(question=f"Does the teacher help the {FAMILY[name][0]}?", first=f"{name}-kd", second=name)
            for name in FAMILY
        ),
        Contrast(question="Is narrow-deep better than wide?", first="narrow-deep-kd", second="wide-kd"),
        Contrast(question="Is narrow-deep better than unmodified?", first="narrow-deep-kd", second="plain-kd"),
    ),
)
