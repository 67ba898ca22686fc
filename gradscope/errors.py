"""Every error GradScope raises on purpose.

    GradScopeError
    +-- ConfigError          a setting that cannot be: names it, says what is allowed
    +-- DataError            pictures or labels that cannot be trained on
    +-- RecorderError        a model that cannot be watched
    +-- CheckpointError      a checkpoint that is absent, torn or of another model
    +-- AttributionError     a network that an attribution method cannot explain
    +-- JobError             a run that cannot be started, stopped, resumed or deleted now
    +-- ExchangeError        records of another program that cannot be imported, or a run that cannot be exported
    +-- StoreError           a store that cannot be used
        +-- StoreForeign     a file, but none of ours
        +-- StoreDamaged     ours once, now truncated or corrupt
        +-- StoreOutdated    written by an older GradScope; `gradscope migrate` brings it up to date
        +-- StoreTooNew      written by a newer GradScope
        +-- StoreReadOnly    may be read, not written
        +-- RunNotFound      no run of that id
            +-- TaskNotFound no task of that id

A message is one sentence that says what was given, what is allowed and what to do. The command line prints it on
stderr and exits with 2; a page shows it in place of its picture.
"""


class GradScopeError(Exception):
    """Base of every deliberate error; its text is fit to be shown to a user as it stands."""


class ConfigError(GradScopeError, ValueError):
    """A setting that cannot be."""


class DataError(GradScopeError, ValueError):
    """Pictures or labels that cannot be trained on."""


class RecorderError(GradScopeError, RuntimeError):
    """A model that cannot be watched, or a run used after it ended."""


class CheckpointError(GradScopeError, RuntimeError):
    """A checkpoint that is absent, torn or of another model."""


class AttributionError(GradScopeError, RuntimeError):
    """A network that an attribution method cannot explain; a sentence instead of a wrong picture."""


class JobError(GradScopeError, RuntimeError):
    """A run that cannot be started, stopped, resumed or deleted in its present state."""


class ExchangeError(GradScopeError, RuntimeError):
    """Records of another program that cannot be imported, or a run that cannot be exported."""


class StoreError(GradScopeError, RuntimeError):
    """A store that cannot be used."""


class StoreForeign(StoreError):
    """The file exists and is not a GradScope store."""


class StoreDamaged(StoreError):
    """The file was a store and can no longer be read."""


class StoreOutdated(StoreError):
    """The store was written by an older GradScope."""


class StoreTooNew(StoreError):
    """The store was written by a newer GradScope."""


class StoreReadOnly(StoreError):
    """The store may be read but not written."""


class RunNotFound(StoreError, KeyError):
    """The store holds no run of that id."""

    def __str__(self) -> str:
        """The sentence itself; KeyError alone would show it in quotes."""
        return str(self.args[0])


class TaskNotFound(RunNotFound):
    """The store holds no task of that id."""
