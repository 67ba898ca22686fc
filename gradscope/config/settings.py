"""What every settings class shares."""

from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict

Activation = Literal["tanh", "sigmoid", "relu", "leaky_relu", "elu", "selu", "gelu", "silu", "softplus", "identity"]


SMOOTH_ACTIVATIONS: frozenset[Activation] = frozenset(
    ("tanh", "sigmoid", "elu", "selu", "gelu", "silu", "softplus"),
)
"""Those whose derivative varies smoothly, so that it can be normalised."""


class Settings(BaseModel):
    """Base: frozen, no unknown fields, field docstrings are the descriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False)


def name_of(settings: Settings) -> str:
    """The `name` by which a member of a union is chosen."""
    return str(getattr(settings, "name"))  # noqa: B009  (every member of a union has one; Settings itself does not)


def classes(annotated_union: Any) -> dict[str, type[Settings]]:  # Any: typing has no type for an annotated union
    """The members of a union by name, in its order."""
    return {c.model_fields["name"].default: c for c in get_args(get_args(annotated_union)[0])}
