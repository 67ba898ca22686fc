"""Everything a run can be: read by the launch form, the command line, the store and the comparison table.

A setting is one field: its type and bounds are the validation, its description is the help text. Where one of several
things can be chosen (a data set, a model, an optimiser), each is a class with a `name`, and the choice is their union.
"""

from gradscope.config.data import (
    AnyData,
    Cifar10,
    Cifar100,
    DataSettings,
    Digits,
    FashionMnist,
    Folder,
    Mnist,
    Parquet,
    Shapes,
    Svhn,
    data_classes,
)
from gradscope.config.methods import (
    AnyMethod,
    BackwardGradientNorm,
    BatchNorm,
    ClipNorm,
    ClipValue,
    GradientAmplification,
    Initialisation,
    PseudoNorm,
    ZNorm,
    method_classes,
)
from gradscope.config.models import AnyModel, Mlp, PaperCnn, Resnet, model_classes
from gradscope.config.optimizers import (
    Adam,
    AdamW,
    AnyOptimizer,
    OptimizerSettings,
    RmsProp,
    Rprop,
    Sgd,
    optimizer_classes,
)
from gradscope.config.run import CHOICES, RunConfig, explain, parse_config
from gradscope.config.schedules import (
    AnySchedule,
    Constant,
    Cosine,
    CosineRestarts,
    CosineWave,
    ScheduleSettings,
    StepDecay,
    schedule_classes,
)
from gradscope.config.settings import Activation, Settings, name_of
from gradscope.config.tasks import TaskSettings
from gradscope.config.train import Record, Train

__all__ = [
    "CHOICES",
    "Activation",
    "Adam",
    "AdamW",
    "AnyData",
    "AnyMethod",
    "AnyModel",
    "AnyOptimizer",
    "AnySchedule",
    "BackwardGradientNorm",
    "BatchNorm",
    "Cifar10",
    "Cifar100",
    "ClipNorm",
    "ClipValue",
    "Constant",
    "Cosine",
    "CosineRestarts",
    "CosineWave",
    "DataSettings",
    "Digits",
    "FashionMnist",
    "Folder",
    "GradientAmplification",
    "Initialisation",
    "Mlp",
    "Mnist",
    "OptimizerSettings",
    "PaperCnn",
    "Parquet",
    "PseudoNorm",
    "Record",
    "Resnet",
    "RmsProp",
    "Rprop",
    "RunConfig",
    "ScheduleSettings",
    "Settings",
    "Sgd",
    "Shapes",
    "StepDecay",
    "Svhn",
    "TaskSettings",
    "Train",
    "ZNorm",
    "data_classes",
    "explain",
    "method_classes",
    "model_classes",
    "name_of",
    "optimizer_classes",
    "parse_config",
    "schedule_classes",
]
