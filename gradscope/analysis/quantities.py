"""Which curves belong into one figure: the same quantity, of the training, the validation and the test."""

import re
from collections.abc import Iterable

SPLITS = ("training", "validation", "test")

_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), SPLITS[0]),
    **dict.fromkeys(("val", "valid", "validation", "eval", "dev"), SPLITS[1]),
    "test": SPLITS[2],
}
_SAME = {"acc": "accuracy", "lr": "learning rate", "map": "mAP"}
_FIRST = ("loss", "accuracy", "mAP", "learning rate")


def quantity_and_split(name: str) -> tuple[str, str]:
    """What a curve shows, and on which images; those of the training unless its name begins or ends otherwise.

    >>> quantity_and_split("val_loss"), quantity_and_split("eval/top5"), quantity_and_split("lr")
    (('loss', 'validation'), ('top5', 'validation'), ('learning rate', 'training'))
    """
    words = re.split(r"[_/. -]+", name.strip("_/. -"))
    for place in (0, -1):
        split = _SPLIT_WORDS.get(words[place].lower())
        if split is not None and len(words) > 1:
            del words[place]
            return _quantity(words), split
    return _quantity(words), SPLITS[0]


def _quantity(words: list[str]) -> str:
    text = " ".join(words)
    return _SAME.get(text.lower(), text.lower() if text.lower() in _FIRST else text)


def quantities(names: Iterable[str]) -> list[str]:
    """Every quantity among curves: loss, accuracy and learning rate first, then what a program logged of its own."""
    found = {quantity_and_split(name)[0] for name in names}
    return [q for q in _FIRST if q in found] + sorted(found - set(_FIRST), key=str.lower)


def of_quantity(quantity: str, names: Iterable[str]) -> list[str]:
    """The curves of one quantity."""
    return [name for name in names if quantity_and_split(name)[0] == quantity]
