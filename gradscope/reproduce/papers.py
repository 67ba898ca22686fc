"""The papers that can be reproduced."""

from collections.abc import Mapping, Sequence

from gradscope.errors import ConfigError
from gradscope.reproduce import elastic, kr, narrow_deep, pn
from gradscope.reproduce.paper import Experiment, Paper

PAPERS: Mapping[str, Paper] = {paper.name: paper for paper in (pn.PAPER, elastic.PAPER, kr.PAPER, narrow_deep.PAPER)}


def paper_of(name: str) -> Paper:
    """The paper of that name, or a ConfigError that lists them."""
    if name not in PAPERS:
        raise ConfigError(f"paper {name!r} is unknown; use one of {', '.join(PAPERS)}")
    return PAPERS[name]


def chosen(paper: Paper, only: Sequence[str] = (), *, sweep: bool = False, heavy: bool = True) -> list[Experiment]:
    """The experiments named, or all but what the paper leaves open.

    Args:
        paper: whose experiments.
        only: their names; the teachers of those that have one come along.
        sweep: beside them, those that vary what the paper leaves open.
        heavy: where none is named, also those that take a GPU.

    Raises:
        ConfigError: the paper has none of a name.
    """
    known = {e.name: e for e in paper.experiments}
    if unknown := [name for name in only if name not in known]:
        raise ConfigError(f"experiment {unknown[0]!r} is unknown; use one of {', '.join(known)}")
    if only:
        named = {*only, *(name for name, e in known.items() if sweep and e.sweep and (heavy or not e.heavy))}
        wanted = {*named, *(known[name].teacher for name in named)}
        return [e for e in paper.experiments if e.name in wanted]
    return [e for e in paper.experiments if (sweep or not e.sweep) and (heavy or not e.heavy)]
