"""Whether captum's DeepLIFT can explain a network: it is silently wrong on many (measured with captum 0.9).

Its rule for an activation stands in a hook on the activation's module. An activation that is no module of its own, or
serves twice, has no hook, or one for two places; a max-pool directly behind it meets the hook's output (captum issue
1104). Each was 4 to 455 per cent off, all but the shared module without an error.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from captum.attr._core.deep_lift import SUPPORTED_NON_LINEAR
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_NONLINEAR_OPS = {
    *("abs", "celu", "clamp", "clamp_min", "elu", "exp", "gelu", "glu", "hardsigmoid", "hardswish"),
    *("hardtanh", "leaky_relu", "log", "log_sigmoid_forward", "max", "maximum", "max_pool2d_with_indices"),
    *("max_pool3d_with_indices", "min", "minimum", "mish", "native_group_norm", "native_layer_norm"),
    *("pow", "prelu", "relu", "relu6", "rrelu_with_noise", "selu", "sigmoid", "silu", "sin", "_softmax"),
    *("_log_softmax", "softplus", "sqrt", "tanh", "threshold"),
}
"""Names of aten operations that are no linear map of a picture."""


def objection(model: nn.Module, images: Tensor) -> str | None:
    """Why DeepLIFT would be wrong on this network, as a clause; None where nothing speaks against it.

    One forward pass of the images [B, C, H, W] is watched. What it cannot see, the sum over the map still shows.
    """
    seen = _Watched()
    with seen.of(model), torch.no_grad():
        model(images)
    return next(seen.complaints(), None)


class _Watched(TorchDispatchMode):  # type: ignore[no-untyped-call]  # untyped in torch
    """One forward pass: which modules ran, on what, and which operations ran outside of a module that has a rule."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # untyped in torch
        self._names: dict[nn.Module, str] = {}
        self._runs: Counter[nn.Module] = Counter()
        self._kept: list[tuple[nn.Module, Tensor]] = []
        self._pooled: list[tuple[nn.Module, nn.Module]] = []
        self._inside: list[nn.Module] = []
        self._free: list[tuple[str, nn.Module | None]] = []

    @contextmanager
    def of(self, model: nn.Module) -> Iterator[None]:
        self._names = {module: name for name, module in model.named_modules()}
        handles = [module.register_forward_pre_hook(self._enter) for module in model.modules()]
        handles += [module.register_forward_hook(self._leave, always_call=True) for module in model.modules()]
        try:
            with self:
                yield
        finally:
            for handle in handles:
                handle.remove()

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:  # Any: whatever a module is given
        self._inside.append(module)
        if isinstance(module, _POOLS) and inputs:
            before = [m for m, out in self._kept if out.data_ptr() == inputs[0].data_ptr()]
            self._pooled += [(module, before[-1])] if before else []

    def _leave(self, module: nn.Module, _: object, output: object) -> None:
        self._inside.pop()
        if type(module) in SUPPORTED_NON_LINEAR:
            self._runs[module] += 1
            if isinstance(output, Tensor) and not isinstance(module, _POOLS):
                self._kept.append((module, output))  # kept alive: no other tensor may take its place in memory

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # Any: torch's own
        name = func.overloadpacket.__name__.rstrip("_")
        if name in _NONLINEAR_OPS and not any(type(m) in SUPPORTED_NON_LINEAR for m in self._inside):
            self._free.append((name, self._inside[-1] if self._inside else None))
        return func(*args, **(kwargs or {}))

    def complaints(self) -> Iterator[str]:
        for module, n in self._runs.items():
            if n > 1:
                yield f"its {self._called(module)} serves {n} places, each of which needs a module of its own"
        for pool, activation in self._pooled:
            yield f"the output of its {self._called(activation)} goes straight into a max-pool ({self._names[pool]})"
        for pool in self._runs:
            if isinstance(pool, _POOLS) and _overlaps(pool):
                yield f"the windows of its {self._called(pool)} overlap"
        for operation, inside in self._free:
            place = "" if inside is None else f" inside {self._called(inside)}"
            yield f"it computes {operation.strip('_')}{place}, for which DeepLIFT has no rule"

    def _called(self, module: nn.Module) -> str:
        name = self._names[module]
        return f"{type(module).__name__} {name}" if name else type(module).__name__


def _overlaps(pool: nn.Module) -> bool:
    sizes, strides = (
        value if isinstance(value, tuple) else (value,) for value in (pool.kernel_size, pool.stride or pool.kernel_size)
    )
    return any(size > stride for size, stride in zip(sizes, strides, strict=False))
