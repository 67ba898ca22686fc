"""Numbers as people read them: three significant digits, powers of ten, per cent, minutes and seconds."""

import math
import re

from gradscope.records import SCORE_SUFFIX

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>#|~$]|:(?=\w+[/:])")  # the last: an icon such as :material/home:
UNKNOWN = "—"
"""Stands where a number is not known."""


def plain(text: str) -> str:
    r"""What somebody wrote, for a place that takes Markdown: shown as it is, on one line.

    >>> print(plain("__init__ *a* $x$ :material/home: a: b"))
    \_\_init\_\_ \*a\* \$x\$ \:material/home: a: b
    """
    return _MARKDOWN.sub(r"\\\g<0>", re.sub(r"[\r\n\t]+", " ", text))


def sentence(error: object) -> str:
    """What an error says, as a sentence; a name that it begins with stays as it is.

    >>> sentence("the run 3 is in training; stop it first"), sentence("optimizer.lr: too small")
    ('The run 3 is in training; stop it first.', 'optimizer.lr: too small.')
    """
    text = str(error)
    begins = re.match(r"[a-z]+[ ,]", text)
    return f"{text[:1].upper() if begins else text[:1]}{text[1:]}."


def power(exponent: int, base: int = 10) -> str:
    """A power as 10⁻⁵.

    >>> power(-5), power(3, base=2)
    ('10⁻⁵', '2³')
    """
    return f"{base}{str(exponent).translate(_SUPERSCRIPT)}"


def significant(value: float | None) -> str:
    """Three significant digits; very small and large ones with a power of ten.

    >>> significant(0.01234), significant(3.14159e-7), significant(12345.0), significant(0.0)
    ('0.0123', '3.14·10⁻⁷', '12300', '0')
    """
    if value is None or math.isnan(value):
        return UNKNOWN
    if value == 0 or math.isinf(value):
        return f"{value:.0f}".replace("inf", "∞")
    exponent = math.floor(math.log10(abs(float(f"{value:.2e}"))))
    if -4 < exponent < 6:
        digits = max(0, 2 - exponent)
        return f"{round(value, 2 - exponent):.{digits}f}"
    return f"{value / 10.0**exponent:.3g}·{power(exponent)}"


def scored(value: float | None, score: str) -> str:
    """A score in 0..1 in per cent, with its name unless that is accuracy.

    >>> scored(0.4321, "map"), scored(0.4321, "accuracy")
    ('43.2 % mAP', '43.2 %')
    """
    return percent(value) + (SCORE_SUFFIX[score] if percent(value) != UNKNOWN else "")


def percent(share: float | None) -> str:
    """A share in 0..1 in per cent with one decimal.

    >>> percent(0.98765)
    '98.8 %'
    """
    return UNKNOWN if share is None or math.isnan(share) else f"{100 * share:.1f} %"


def duration(seconds: float | None) -> str:
    """A time in its two largest units.

    >>> duration(8), duration(130), duration(7260), duration(200000)
    ('8 s', '2 min 10 s', '2 h 1 min', '2 d 7 h')
    """
    if seconds is None or math.isnan(seconds):
        return UNKNOWN
    whole = max(0, round(seconds))
    for name, size, lower, lower_size in (("d", 86_400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // lower_size} {lower}"
    return f"{whole} s"


def count(number: int | None) -> str:
    """A whole number with narrow spaces between thousands.

    >>> count(1240000).split()
    ['1', '240', '000']
    """
    return UNKNOWN if number is None else f"{number:,}".replace(",", "\u202f")


def size(n_bytes: float) -> str:
    """Bytes as MB or GB.

    >>> size(3.2e6), size(5.25e9)
    ('3.2 MB', '5.2 GB')
    """
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
