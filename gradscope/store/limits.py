"""How long what people write may be: a table, a legend and a file name must still hold it."""

from collections.abc import Iterable

from gradscope.errors import ConfigError

NAME_LETTERS = 200
TAG_LETTERS = 60
TAGS = 30
NOTE_LETTERS = 20_000


def checked_name(name: str) -> str:
    """A run's name on one line and without signs that cannot be shown; ConfigError if nothing is left or it is long."""
    return _one_line("name", name, NAME_LETTERS)


def checked_tags(tags: Iterable[str]) -> list[str]:
    """Tags, each once; ConfigError if one is empty or long, or there are too many."""
    found = list(dict.fromkeys(_one_line("tag", tag, TAG_LETTERS) for tag in tags))
    if len(found) > TAGS:
        raise ConfigError(f"a run has at most {TAGS} tags, not {len(found)}; leave some out")
    return found


def checked_note(note: str) -> str:
    """A note; ConfigError if it is long."""
    if len(note) > NOTE_LETTERS:
        raise ConfigError(f"a note has at most {NOTE_LETTERS} letters, not {len(note)}; shorten it")
    return "".join(letter for letter in note if letter.isprintable() or letter in "\n\t")


def _one_line(what: str, text: str, most: int) -> str:
    kept = "".join(letter if letter.isprintable() else " " for letter in text)
    line = " ".join(kept.split())
    if not line:
        raise ConfigError(f"a {what} of a run needs at least one letter, not {text!r}; write some")
    if len(line) > most:
        raise ConfigError(
            f"a {what} of a run has at most {most} letters, not {len(line)} ({line[:20]}...); use the note"
        )
    return line
