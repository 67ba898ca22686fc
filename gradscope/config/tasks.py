"""What can be computed on a run beside its training."""

from typing import ClassVar

from pydantic import Field

from gradscope.config.settings import Settings


class TaskSettings(Settings):
    """What every kind of task shares. A kind has a `name`, as a data source or a model has."""

    needs_network: ClassVar[bool] = True
    """Whether it works on the run's checkpoint, and asks it for the one right class of a picture."""

    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")
    """auto, cpu, mps, cuda or cuda:N; auto takes a GPU where there is one."""
