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
        sweep: beside them, those that vary what the paper leaves open, and what they are compared with.
        heavy: where none is named, also those that take a GPU.

    Raises:
        ConfigError: the paper has none of a name.
    """
    known = {e.name: e for e in paper.experiments}
    if unknown := [name for name in only if name not in known]:
        raise ConfigError(f"experiment {unknown[0]!r} is unknown; use one of {', '.join(known)}")
    if only:
        varied = {name for name, e in known.items() if sweep and e.sweep}
        compared = {name for c in paper.contrasts for name in (c.first, c.second) if varied & {c.first, c.second}}
        named = {*only, *(name for name in varied | compared if heavy or not known[name].heavy)}
        wanted = {*named, *(known[name].teacher for name in named)}
        return [e for e in paper.experiments if e.name in wanted]
    return [e for e in paper.experiments if (sweep or not e.sweep) and (heavy or not e.heavy)]


def options(paper: Paper, experiments: Sequence[Experiment], *, heavy: bool = True) -> list[str]:
    """The words of the command line that choose just these: `chosen` the other way round, with as few as may be.

    Args:
        paper: whose experiments.
        experiments: as `chosen` gave them.
        heavy: as `chosen` had it.
    """
    wanted = list(experiments)

    def choose(only: Sequence[str], sweep: bool) -> bool:
        return chosen(paper, only, sweep=sweep, heavy=heavy) == wanted

    names = [e.name for e in wanted]
    varied = any(e.sweep for e in wanted)
    sweep = varied and (choose([], True) or choose(names, True))
    only = [] if choose([], sweep) else names
    for name in reversed(only):
        fewer = [other for other in only if other != name]
        only = fewer if fewer and choose(fewer, sweep) else only
    return [*(("--sweep",) if sweep else ()), *(word for name in only for word in ("--only", name))]
