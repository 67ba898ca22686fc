"""GradScope, the gradient microscope: see in which layer learning dies, while a network trains.

    import gradscope

    run = gradscope.init(name="my net", config={"lr": 0.1})
    run.watch(model, optimizer)
    ...                             # the training loop, unchanged; run.log({"loss": loss}) if you want the curve too
    run.finish()

    gradscope.open("runs.db").run(run.id).layer_stats()      # a tidy DataFrame
    gradscope.doctor(model, (images, labels))                # what is wrong with it, before any training

Nothing is imported before it is used: `import gradscope` takes a moment, and no PyTorch.
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradscope.alarm import guard
    from gradscope.checkup import doctor
    from gradscope.config.alerts import Alerts
    from gradscope.recorder.current import finish, init, log, watch
    from gradscope.store.notebook import open_runs as open

    __version__: str

__all__ = ["Alerts", "__version__", "doctor", "finish", "guard", "init", "log", "open", "watch"]

_HOMES = {
    **dict.fromkeys(("init", "watch", "log", "finish"), "gradscope.recorder.current"),
    "open": "gradscope.store.notebook",
    "doctor": "gradscope.checkup",
    "guard": "gradscope.alarm",
    "Alerts": "gradscope.config.alerts",
}
_NAMES = {"open": "open_runs"}


def __getattr__(name: str) -> Any:  # Any: as many types as there are names
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'gradscope' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), _NAMES.get(name, name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def _version() -> str:
    try:
        return version("gradscope")
    except PackageNotFoundError:
        return "unknown"  # used from a source tree that was never installed
