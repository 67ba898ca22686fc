"""The networks: one file an architecture, chosen by the type of their settings.

`from gradscope.models.sizes import n_parameters` needs no torch; everything named here does, and loads it on first use.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradscope.models.build import build_model
    from gradscope.models.costs import Estimate, estimate

__all__ = ["Estimate", "build_model", "estimate"]


def __getattr__(name: str) -> Any:  # Any: PEP 562, the names above have their own types
    if name == "build_model":
        from gradscope.models.build import build_model

        return build_model
    if name in {"Estimate", "estimate"}:
        from gradscope.models import costs

        return getattr(costs, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
