"""A reproduction as text: for the terminal, and as Markdown with every figure read from the store."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from gradscope.analysis.amplification import GAUSSIAN_SHARE
from gradscope.analysis.exits import backbone_profile
from gradscope.analysis.wording import UNKNOWN, percent, significant
from gradscope.config import PseudoNorm
from gradscope.errors import GradScopeError
from gradscope.records import Kind, Run
from gradscope.reproduce.exits import exits_table
from gradscope.reproduce.extent import command, left_out, run_of_all
from gradscope.reproduce.group import Group
from gradscope.reproduce.paper import Difference, Experiment
from gradscope.reproduce.summary import (
    accuracy,
    by_experiment,
    differences,
    noise_order,
    paired,
    summary,
    under_noise,
)
from gradscope.store import Store, read

BEGIN, END = "<!-- figures: `gradscope reproduce {name} --report` writes what follows -->", "<!-- end of figures -->"


def points(gap: float, deviation: float = math.nan) -> str:
    """A difference of accuracies in percentage points, with its sign.

    >>> points(-0.0123), points(0.05, 0.01)
    ('-1.2', '+5.0 ± 1.0')
    """
    if math.isnan(gap):
        return UNKNOWN
    return f"{100 * gap:+.1f}" + ("" if math.isnan(deviation) else f" ± {100 * deviation:.1f}")


def results_table(group: Group) -> pd.DataFrame:
    """`summary` as people read it. Columns: experiment; published; ours; difference, points; runs."""
    found = summary(group)
    return pd.DataFrame(
        {
            "experiment": found["title"],
            "published": [percent(p) for p in found["published"]],
            "ours": [accuracy(m, s) for m, s in zip(found["mean"], found["deviation"], strict=True)],
            "difference, points": [points(d) for d in found["difference"]],
            "runs": found["runs"],
        }
    )


def contrasts_table(group: Group) -> pd.DataFrame:
    """`paired` as people read it."""
    titles = {e.name: e.title for e in group.paper.experiments}
    rows = [
        (
            found.contrast.question,
            f"{titles[found.contrast.first]} less {titles[found.contrast.second]}",
            points(found.mean, found.deviation),
            f"{found.higher} of {found.n}",
        )
        for found in paired(group)
    ]
    return pd.DataFrame(rows, columns=["question", "compared, seed by seed", "points", "higher in seeds"])


def noise_tables(store: Store, group: Group) -> dict[str, pd.DataFrame]:
    """`under_noise` as people read it: for each kind of noise an experiment a row, a level a column."""
    found = under_noise(store, group)
    texts = found.assign(text=[accuracy(m, d) for m, d in zip(found["mean"], found["deviation"], strict=True)])
    tables = {}
    for kind, rows in texts.groupby("kind", sort=False):
        wide = rows.pivot(index="title", columns="level", values="text").loc[rows["title"].unique()]
        names = {level: f"{float(level):g}" if float(level) else "clean" for level in wide.columns}
        tables[str(kind)] = wide.rename(columns=names).rename_axis("experiment").reset_index().rename_axis(None, axis=1)
    return tables


def noise_sentence(store: Store, group: Group) -> str:
    """What the paper claims of the noises, and what was measured; empty where nothing was."""
    order = noise_order(store, group)
    if order is None:
        return ""
    return (
        f"{group.paper.noise_claim} Here Gaussian noise hurts more in {order.lower} of {order.of} pairs of a network "
        f"and a level; under uniform noise the accuracy is {100 * abs(order.mean):.1f} points "
        f"{'higher' if order.mean >= 0 else 'lower'} on average."
    )


def gradient_table(store: Store, group: Group) -> pd.DataFrame:
    """RMS of the first layer's gradient over that of the last hidden layer, the geometric mean over the seeds."""
    rows = []
    for experiment, items in by_experiment(group):
        runs = [item.run for item in items if item.run and item.run.results.test_accuracy is not None]
        if runs:
            ratios = (_first_over_last(store, runs, 0), _first_over_last(store, runs, None))
            rows.append((experiment.title, *(significant(r) for r in ratios)))
    return pd.DataFrame(rows, columns=["experiment", "first / last at step 0", "at the last record"])


def _first_over_last(store: Store, runs: Sequence[Run], step: int | None) -> float:
    profile = backbone_profile(read.profile(store, [run.id for run in runs], Kind.GRADIENT, step))
    logs = []
    for _, own in profile.sort_values("layer").groupby("run"):
        rms = own["rms"].to_numpy(dtype=np.float64)
        if len(rms) > 2 and rms[0] > 0 and rms[-2] > 0:
            logs.append(math.log(rms[0] / rms[-2]))
    return math.exp(float(np.mean(logs))) if logs else math.nan


def gain_table(store: Store, group: Group) -> pd.DataFrame:
    """What pseudo-normalisation multiplied the error by on its way through all layers, and how many derivatives it
    lifted above one, where the paper expects the 31.7 % of a Gaussian: the means over the layers and the seeds.
    """
    rows = []
    for experiment, items in by_experiment(group):
        runs = [item.run.id for item in items if item.run and item.run.results.test_accuracy is not None]
        frames = [read.gains(store, runs, step) for step in (0, None)]
        found = [frame[frame["method"] == PseudoNorm().name] for frame in frames]
        if any(map(len, found)):
            in_all = [np.exp(np.log(own.groupby("run")["gain"].prod(min_count=1)).mean()) for own in found]
            above = [own["share_above_one"].mean() for own in found]
            rows.append((experiment.title, *map(significant, in_all), *map(percent, above)))
    ends = ("at step 0", "at the last record")
    return pd.DataFrame(
        rows, columns=["experiment", *(f"{what} {end}" for what in ("gains", "above 1") for end in ends)]
    )


def markdown(store: Store, group: Group) -> str:
    """The whole reproduction as Markdown, without a heading of its own."""
    parts = [
        f"Scale `{group.scale.name}`: {group.scale.says}",
        "Written by this command, which without `--report FILE` trains what is missing:",
        f"```sh\n{command(group)} --report FILE\n```",
        run_of_all(store, group),
        *filter(None, [left_out(store, group)]),
        _table(results_table(group)),
        "Mean and standard deviation over the seeds of the accuracy on the test set after the last epoch.",
        *_section(_SEED_BY_SEED, contrasts_table(group)),
        *_section("Exit by exit, on the test set; the last exit is the whole network:", exits_table(store, group)),
        *_under_noise(store, group),
        *_section(_GRADIENTS, gradient_table(store, group)),
        *_section(_GAINS, gain_table(store, group)),
        *("What differs from the paper:", _differences(group)),
    ]
    return "\n\n".join(parts) + "\n"


_SEED_BY_SEED = "Seed by seed (the same split, order of pictures and, where the nets are alike, weights):"
_GRADIENTS = "RMS of the weight gradient as the optimiser sees it, first layer over last hidden layer:"
_GAINS = (
    "The gains 1 / RMS(f') of all normalised layers multiplied, and the share of the derivatives above 1 once "
    f"normalised (the paper expects {percent(GAUSSIAN_SHARE)}, that of a Gaussian):"
)


def _section(words: str, table: pd.DataFrame) -> list[str]:
    return [words, _table(table)] if len(table) else []


def _under_noise(store: Store, group: Group) -> list[str]:
    parts = []
    for kind, table in noise_tables(store, group).items():
        parts += [
            f"Under {kind.replace('_', ' ')} of a standard deviation in units of the normalised pictures:",
            _table(table),
        ]
    sentence = noise_sentence(store, group)
    return [*parts, sentence] if sentence else parts


def _table(frame: pd.DataFrame) -> str:
    lines = [list(map(str, frame.columns)), ["---"] * len(frame.columns), *frame.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def _differences(group: Group) -> str:
    """One list for all experiments: what several share is said once."""
    by_text: dict[Difference, list[Experiment]] = {}
    experiments = [experiment for experiment, _ in by_experiment(group)]
    for experiment in experiments:
        for difference in differences(group, experiment):
            by_text.setdefault(difference, []).append(experiment)
    rows = [
        (d.setting, d.paper, d.ours, "all" if len(own) == len(experiments) else ", ".join(e.title for e in own))
        for d, own in by_text.items()
    ]
    return _table(pd.DataFrame(rows, columns=["setting", "paper", "ours", "experiments"]))


def write_report(path: Path, store: Store, group: Group) -> None:
    """Put the figures between their marks in a file, at its end where it has none; the rest of it stays.

    Raises:
        GradScopeError: the file cannot be written.
    """
    begin = BEGIN.format(name=group.paper.name)
    block = f"{begin}\n\n{markdown(store, group)}\n{END}"
    try:
        text = path.read_text() if path.exists() else f"# {group.paper.title}\n\n{group.paper.citation}.\n"
        before, mark, rest = text.partition(begin)
        after = rest.partition(END)[2] if mark else "\n"
        path.write_text(f"{before if mark else before.rstrip() + chr(10) * 2}{block}{after}")
    except OSError as error:
        raise GradScopeError(f"the report {path} cannot be written ({error.strerror}); name another file") from error
