"""Running a compiled network uncompiled for a while: compiled code does not call hooks that were set after it was."""

from contextlib import ExitStack

import torch
from torch import nn


class Uncompiled:
    """A switch that does nothing to a network that is not compiled."""

    def __init__(self, model: nn.Module) -> None:
        self._applies = any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in model.modules())
        self._until = ExitStack()
        self.is_on = False
        """Whether the network runs slower than it could."""

    def on(self) -> None:
        """From now on."""
        if self._applies:
            self._until.close()
            stance = torch.compiler.set_stance("force_eager")
            self._until.callback(stance.__exit__, None, None, None)
            self.is_on = True

    def off(self) -> None:
        """Compiled again; a second time does nothing."""
        self._until.close()
        self.is_on = False
