"""The terms of a loss: what each of them adds to the gradients, as frozen values."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TermGradient:
    """What one term of the loss adds to a layer's gradient, at one step."""

    step: int
    layer: int
    term: str
    """Such as label, distillation, exit 3."""
    share: float | None
    """g_term . g / |g|^2, g the sum over all terms: the shares of a layer add up to 1, and a term that pulls against
    the others has one below 0. None = the gradient is 0 or not finite."""
    rms: float | None
    """Of the term's own gradient, in nats per unit weight. None = not finite."""


@dataclass(frozen=True, kw_only=True)
class TermCosine:
    """The angle between two terms' gradients in a layer, at one step."""

    step: int
    layer: int
    term: str
    other: str
    cosine: float | None
    """In -1..1; None = one of them is 0 or not finite."""
