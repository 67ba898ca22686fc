"""The ImageNet rows of Liu et al. 2019 (arXiv 1911.05329): ResNet-101 teaches BN-Inception.

Stated: top-1 errors; step A at 0.1 with polynomial decay every 6 epochs, step B at 0.005, momentum 0.9, weight decay
1e-5; four teacher layers merged into one. Epochs, batch size and augmentation are lost. FSP has no row there, because
the two networks have no equal numbers of channels.

The pictures of a folder `imagenet` with train/ and val/ are held in memory: 1.3 million of 224x224 are 200 GB, twice
that while the validation is split off; what does not fit is refused with the size that would. Below full scale Tiny
ImageNet's 20 classes of `tiny_imagenet_20` stand for it, and networks that a processor trains in minutes.
"""

from gradscope.config import (
    AnyMethod,
    AnyModel,
    Cosine,
    Folder,
    InceptionBn,
    Initialisation,
    KdFitNet,
    KdGan,
    KdKr,
    KdNst,
    Parquet,
    Record,
    RunConfig,
    Sgd,
    Torchvision,
    Train,
)
from gradscope.reproduce.paper import Difference, Experiment, Published

EPOCHS = 100
_TEACHER = Torchvision(architecture="resnet101", stem="imagenet", size=224)
_STUDENT = InceptionBn(stem="imagenet", size=224)
_SMALL_TEACHER = Torchvision(architecture="resnet18", stem="imagenet")
_SMALL_STUDENT = InceptionBn(stem="imagenet", width=0.25)
_RATE, _OWN_RATE, _DECAY, _OWN_DECAY = 0.1, 0.005, 1e-4, 1e-5
_KR = KdKr(merge_rate=_RATE / _OWN_RATE)
_SMALL_RATE = 0.01
"""At 0.05 hints and step A were seen to diverge."""


def _config(model: AnyModel, *methods: AnyMethod) -> RunConfig:
    own = any(isinstance(m, KdKr) for m in methods)
    return RunConfig(
        data=Folder(size=224, val_fraction=0.02, augment="flip_crop"),
        model=model,
        methods=(Initialisation(scheme="he"), *methods),
        optimizer=Sgd(lr=_OWN_RATE if own else _RATE, momentum=0.9, weight_decay=_OWN_DECAY if own else _DECAY),
        schedule=Cosine(),
        train=Train(epochs=EPOCHS, batch_size=256),
        record=Record(every=1000, log="gradients"),
    )


def _lighter(model: AnyModel, *methods: AnyMethod) -> RunConfig:
    gentle = (m.model_copy(update={"merge_rate": 1.0}) if isinstance(m, KdKr) else m for m in methods)
    return RunConfig(
        data=Parquet(),
        model=model,
        methods=(Initialisation(scheme="he"), *gentle),
        optimizer=Sgd(lr=_SMALL_RATE, momentum=0.9, weight_decay=5e-4),
        schedule=Cosine(),
        train=Train(batch_size=64, mixed_precision=False),
        record=Record(every=50, log="gradients"),
    )


_DIFFERENCES = (
    Difference(
        setting="schedule and epochs", paper="polynomial, every 6 epochs; the number is lost", ours="cosine, 100"
    ),
    Difference(setting="batch size", paper="lost in our copy", ours="256"),
    Difference(setting="augmentation", paper="not said", ours="pictures resized to 224x224, flips and crops"),
    Difference(
        setting="data and networks below full scale",
        paper="ImageNet, ResNet-101 and BN-Inception",
        ours="20 classes of Tiny ImageNet, ResNet-18 and BN-Inception with a quarter of its channels",
    ),
)


def _row(
    name: str, title: str, top1_error: float, models: tuple[AnyModel, AnyModel], *methods: AnyMethod
) -> Experiment:
    """Error in per cent."""
    return Experiment(
        name=f"{name}-imagenet",
        title=f"ImageNet, {title}",
        config=_config(models[0], *methods),
        lighter=_lighter(models[1], *methods),
        published=Published(accuracy=round(1 - top1_error / 100, 4), remark="top-1"),
        differences=_DIFFERENCES,
        teacher="teacher-imagenet" if methods else "",
        heavy=True,
    )


_TEACHERS, _STUDENTS = (_TEACHER, _SMALL_TEACHER), (_STUDENT, _SMALL_STUDENT)
IMAGENET = (
    _row("teacher", "teacher, ResNet-101", 22.68, _TEACHERS),
    _row("student", "student alone, BN-Inception", 25.74, _STUDENTS),
    _row("fitnet", "FitNet", 25.30, _STUDENTS, KdFitNet()),
    _row("nst", "NST", 24.34, _STUDENTS, KdNst()),
    _row("kdgan", "KDGAN", 24.11, _STUDENTS, KdGan()),
    _row("kr", "Knowledge representing", 23.47, _STUDENTS, _KR),
    _row("kr-kdgan", "Knowledge representing + KDGAN", 23.18, _STUDENTS, _KR.model_copy(update={"gan": True})),
)
"""The rows, the teacher first."""
