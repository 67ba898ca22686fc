"""What the tag of a histogram in an event file says: which layer, and what of it."""

import re
from dataclasses import dataclass

from gradscope.records import Kind

_GRADIENT = dict.fromkeys(("grad", "grads", "gradient", "gradients"), Kind.GRADIENT)
_WEIGHT = dict.fromkeys(("weight", "weights", "param", "params", "parameters"), Kind.WEIGHT)
_OTHERS = {f"{kind}{plural}": kind for kind in Kind for plural in ("", "s")}
_HEADS = {**_OTHERS, **_GRADIENT, **_WEIGHT}

_GRADIENT_WORD = re.compile(r"(?:^|[._/:\- ])grad(?:ient)?s?(?=$|[._/:\- ])", re.IGNORECASE)
_WEIGHT_END = re.compile(r"(?:^|[./])(?:weight|kernel)(?::0)?$")
_BIAS_END = re.compile(r"(?:^|[./])bias(?::0)?$")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a histogram was measured on."""

    kind: Kind
    layer: str
    """Name of the layer: the tag without the words for the kind and without a closing `weight`."""
    is_bias: bool
    """A bias makes no layer of its own."""


def subject_of(tag: str) -> Subject | None:
    """From a tag as people write them; None if it names neither a kind nor a weight.

    >>> subject_of("conv1.weight.grad").layer, subject_of("gradients/block/conv.weight").layer
    ('conv1', 'block/conv')
    >>> subject_of("fc.weight").kind, subject_of("latency")
    (<Kind.WEIGHT: 'weight'>, None)
    """
    head, slash, rest = tag.partition("/")
    kind = _HEADS.get(head.lower()) if slash and rest else None
    if kind is not None:
        return _subject(kind, rest)
    if _GRADIENT_WORD.search(tag):
        return _subject(Kind.GRADIENT, _GRADIENT_WORD.sub("", tag).strip("._/:- ") or tag)
    return _subject(Kind.WEIGHT, tag) if _WEIGHT_END.search(tag) or _BIAS_END.search(tag) else None


def _subject(kind: Kind, place: str) -> Subject:
    return Subject(kind=kind, layer=_WEIGHT_END.sub("", place) or place, is_bias=bool(_BIAS_END.search(place)))
