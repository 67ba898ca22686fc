"""A whole run, and how plain values become one."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import ValidationError, field_validator, model_validator

from gradscope.config.alerts import Alerts
from gradscope.config.data import AnyData, Digits, data_classes
from gradscope.config.distillation import Distillation
from gradscope.config.methods import AnyMethod, BatchNorm, Elastic, PseudoNorm, method_classes
from gradscope.config.models import AnyModel, InceptionBn, Mlp, MobileNet, Resnet, Torchvision, model_classes
from gradscope.config.optimizers import AnyOptimizer, Rprop, Sgd, optimizer_classes
from gradscope.config.schedules import AnySchedule, Constant, schedule_classes
from gradscope.config.settings import SMOOTH_ACTIVATIONS, Settings, name_of
from gradscope.config.train import Record, Train
from gradscope.errors import ConfigError


class RunConfig(Settings):
    """A run, whole: enough to train it again."""

    preset: str | None = None
    """The preset it began from."""
    data: AnyData = Digits()
    model: AnyModel = Mlp()
    methods: tuple[AnyMethod, ...] = ()
    optimizer: AnyOptimizer = Sgd()
    schedule: AnySchedule = Constant()
    train: Train = Train()
    record: Record = Record()
    alerts: Alerts = Alerts()

    @field_validator("methods")
    @classmethod
    def _each_method_once(cls, methods: tuple[Settings, ...]) -> tuple[Settings, ...]:
        names = [name_of(m) for m in methods]
        twice = {n for n in names if names.count(n) > 1}
        if twice:
            raise ValueError(f"method {', '.join(sorted(twice))} is listed twice; list each method once")
        order = list(method_classes())
        return tuple(sorted(methods, key=lambda m: order.index(name_of(m))))

    @model_validator(mode="after")
    def _tail_fits(self) -> Self:
        if self.schedule.tail_epochs > self.train.epochs:
            raise ValueError(
                f"schedule.tail_epochs is {self.schedule.tail_epochs}, more than train.epochs "
                f"({self.train.epochs}); set schedule.tail_epochs to at most that"
            )
        return self

    @model_validator(mode="after")
    def _methods_fit_the_model(self) -> Self:
        kinds = {type(m) for m in self.methods}
        activation = getattr(self.model, "activation", "tanh")
        if PseudoNorm in kinds and activation not in SMOOTH_ACTIVATIONS:
            raise ValueError(
                f"method pseudo_norm needs a smooth activation ({', '.join(sorted(SMOOTH_ACTIVATIONS))}), and "
                f"model.activation is {activation}; choose another activation or leave pseudo_norm out"
            )
        normed = isinstance(self.model, Resnet | MobileNet | InceptionBn | Torchvision) or getattr(
            self.model, "batch_norm", False
        )
        if BatchNorm in kinds and normed:
            raise ValueError(f"model {self.model.name} has batch norm already; leave method batch_norm out")
        return self

    @model_validator(mode="after")
    def _one_loss(self) -> Self:
        found = [m.name for m in self.methods if isinstance(m, Distillation | Elastic)]
        if len(found) > 1:
            raise ValueError(
                f"methods {' and '.join(found)} each bring their own loss; keep one (kd_weight adds Hinton's to any)"
            )
        return self

    @model_validator(mode="after")
    def _labels_fit(self) -> Self:
        if self.data.labels == "one":
            return self
        wanting = [why for m in self.methods if (why := getattr(m, "wants_one_label", ""))]
        if self.train.robustness:
            wanting.append("train.robustness counts right answers")
        if wanting:
            raise ValueError(
                f"pictures of data {self.data.name} have several labels each, and {wanting[0]}; leave it out, or "
                "choose data with one label a picture"
            )
        return self

    @model_validator(mode="after")
    def _batches_can_be_normalised(self) -> Self:
        normed = (
            isinstance(self.model, MobileNet | InceptionBn | Torchvision)  # whose last maps may have a single pixel
            or getattr(self.model, "batch_norm", False)
            or any(isinstance(m, BatchNorm) for m in self.methods)
        )
        if normed and self.train.batch_size < 3:
            # with 2, an odd number of pictures leaves a last batch of one
            raise ValueError(
                f"batch norm takes its mean over a batch, and train.batch_size is {self.train.batch_size}; "
                "set train.batch_size to at least 3 or leave batch norm out"
            )
        return self

    @model_validator(mode="after")
    def _rates_fit(self) -> Self:
        low = getattr(self.schedule, "min_lr", 0.0)
        if low > self.optimizer.lr:
            raise ValueError(
                f"schedule.min_lr is {low:g}, more than optimizer.lr ({self.optimizer.lr:g}); lower schedule.min_lr"
            )
        if isinstance(self.optimizer, Rprop) and (self.schedule.name != "constant" or self.schedule.tail_epochs):
            raise ValueError(
                "rprop adapts its steps by itself and takes no schedule; choose schedule constant without a tail"
            )
        return self


CHOICES = {"data": data_classes, "model": model_classes, "optimizer": optimizer_classes, "schedule": schedule_classes}
"""The fields of a RunConfig that choose one class out of several by its `name`."""


def parse_config(values: Mapping[str, Any]) -> RunConfig:
    """A RunConfig from plain values, or a ConfigError of one sentence that names each wrong setting."""
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(explain(error))) from None


def explain(error: ValidationError) -> list[str]:
    """One line for each wrong setting: its dotted name, what is wrong, what was given."""
    return [_explain_one(e["loc"], e["msg"], e["input"], e["type"]) for e in error.errors()]


def _explain_one(location: tuple[int | str, ...], message: str, given: object, kind: str) -> str:
    # pydantic inserts the union member's name after the field's ("model.mlp.depth"): nobody wrote it, leave it out
    parts = [str(p) for i, p in enumerate(location) if not (i == 1 and location[0] in CHOICES)]
    where = ".".join(parts) or "config"
    text = message.removeprefix("Value error, ")
    if kind == "extra_forbidden":
        return f"{where} is no setting here; leave it out"
    shown = "" if kind == "value_error" or isinstance(given, Mapping) else f", not {given!r}"
    return f"{where}: {text[0].lower()}{text[1:]}{shown}"
