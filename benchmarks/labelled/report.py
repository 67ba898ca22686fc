"""The benchmark's report, written by the script and by nobody's hand."""

import math
import platform
import textwrap
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import torch

from benchmarks.labelled.autotrainer import NAMES
from benchmarks.labelled.cases import SEED
from benchmarks.labelled.cures import FIRST, CureRate
from benchmarks.labelled.measure import Told, scores
from benchmarks.labelled.training import PROBED
from benchmarks.labelled.truth import GOOD, TRUTHS, WELL

SOON = 0.05

Z = 1.96
"""Standard deviations on either side of the mean that hold 95 % of a Gaussian."""

CHOSEN_ON = (
    "324 of seed 2026, 304 of seed 11, 220 of seed 29, 240 of seed 47, 342 of seed 61, 600 of seed 101, 600 of seed 131"
)


def report(told: Sequence[Told], cured: CureRate | None) -> str:
    """As Markdown; `cured` is of faulty runs of the report, None if none was tried."""
    halves = {half: [t for t in told if t.outcome.case.half == half] for half in ("choose", "report")}
    parts = [
        _head(told, cured),
        *(_half(half, runs) for half, runs in halves.items() if runs),
        _confusion(halves["report"] or halves["choose"]),
        _times(halves["report"] or halves["choose"]),
        _cures(cured),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(told: Sequence[Told], cured: CureRate | None) -> str:
    seconds = sum(t.outcome.seconds for t in told)
    cures = f" and {cured.seconds:.0f} s for the tries of the cures" if cured else ""
    counts = Counter(t.outcome.label for t in told)
    good = ", ".join(f"{name} {value:.0%}" for name, value in GOOD.items())
    what = f"""
        Written by benchmarks/diagnosis.py (`make bench-diagnosis`), seed {SEED}: {len(told)} small trainings,
        {seconds:.0f} s of processor time for them{cures}, Python {platform.python_version()}, torch
        {torch.__version__}, one thread each. Blobs, circles and digits of scikit-learn, three classes of CIFAR-10
        averaged to 8x8; fully connected, convolutional and recurrent (RNN, GRU, LSTM) networks of 2 to 30 layers."""
    how = f"""
        Half of the runs have healthy settings of many kinds, half have one of {len(TRUTHS)} faults planted. Everything
        is drawn at random by the run's number. **Thresholds, rules and remedies were chosen on trainings of other seeds
        ({CHOSEN_ON}); the odd numbers of this one were not looked at before.** A run with healthy settings counts as
        healthy if its validation accuracy goes at least {WELL:.0%} of the way from chance to what a good network
        reaches ({good}) and it does not overfit: its last three validation losses, their median, are not a quarter
        above the lowest and twice the training loss. A planted fault counts if the run does not get there, or if it is
        a fault whatever comes of it (a layer cut off, a wrong loss, labels at random). What is neither is left out:
        {counts["unclear"]} runs;
        {counts["healthy"]} healthy and {counts["faulty"]} faulty ones remain. Findings that are only notes do not
        count."""
    right = f"""
        A finding is right of a run whose planted fault it names or comes of (benchmarks/labelled/truth.py), and where
        it is true of the network all the same, measured without recorder and rules (benchmarks/labelled/facts.py) on
        all training pictures at once, at the start and at the end, and by the loss on the same {PROBED} pictures again
        and again: weights that are far too large saturate units, and make the error explode as well. Of a healthy run
        every finding is wrong."""
    return "\n\n".join(["# How good the diagnosis is", _paragraph(what), _paragraph(how), _paragraph(right)])


def _paragraph(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), 120)


def _half(half: str, told: Sequence[Told]) -> str:
    faulty = [t for t in told if t.outcome.label == "faulty"]
    healthy = [t for t in told if t.outcome.label == "healthy"]
    title = {"choose": "The half on which thresholds were chosen", "report": "The half that was not looked at"}[half]
    soon = np.mean([t.first is not None and t.first <= SOON for t in faulty])
    rows = [
        _row("faulty runs whose fault is named", faulty, _is_found, _they_found),
        _row("the same, of the faults that are among AutoTrainer's eight", _eight(faulty), _is_found, _they_found),
        _row("faulty runs of which anything is told", faulty, _anything, _they_said_anything),
        _row("healthy runs with a finding at the end", healthy, _anything, _they_said_anything),
        f"| healthy runs with a finding at any time | {_share(sum(bool(t.ever) for t in healthy), len(healthy))} | |",
        f"| faulty runs whose fault is named within the first {SOON:.0%} of the training | {soon:.1%} | |",
    ]
    lines = [f"## {title}", "", "| | ours | AutoTrainer's rules |", "|---|---|---|", *rows, ""]
    lines += ["| finding | recall | 95 % interval | precision | 95 % interval |", "|---|---|---|---|---|"]
    for score in scores(told):
        cells = [
            f"{_share(count, total)} | {wilson(count, total)}"
            for count, total in ((score.found, score.expected), (score.right, score.told))
        ]
        lines.append(f"| {score.name.replace('_', ' ')} | {' | '.join(cells)} |")
    lines += ["", "The intervals are Wilson's (1927), of a share of so many runs."]
    return "\n".join(lines)


def wilson(count: int, total: int) -> str:
    """The interval that holds a share with 95 % confidence, in per cent; nothing where there is none.

    Wilson (1927), without correction for continuity: (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n).
    """
    if not total:
        return ""
    share, squared = count / total, Z**2 / total
    middle, half = share + squared / 2, Z * math.sqrt(share * (1 - share) / total + squared / (4 * total))
    low, high = ((middle + sign * half) / (1 + squared) for sign in (-1, 1))
    return f"{low:.0%} to {high:.0%}"


def _is_found(told: Told) -> bool:
    return told.is_found


def _anything(told: Told) -> bool:
    return bool(told.names)


def _they_found(told: Told) -> bool:
    return told.autotrainer_first is not None


def _they_said_anything(told: Told) -> bool:
    return bool(told.autotrainer)


def _eight(faulty: Sequence[Told]) -> list[Told]:
    return [t for t in faulty if t.outcome.case.fault in NAMES]


def _row(name: str, told: Sequence[Told], ours: Callable[[Told], bool], theirs: Callable[[Told], bool]) -> str:
    return f"| {name} | {_share(sum(map(ours, told)), len(told))} | {_share(sum(map(theirs, told)), len(told))} |"


def _share(count: int, total: int) -> str:
    return f"{count / total:.1%} ({count} of {total})" if total else ""


def _confusion(told: Sequence[Told]) -> str:
    known = [t for t in told if t.outcome.label != "unclear"]
    names = sorted({name for t in known for name in t.names})
    lines = [
        "## What is told of what",
        "",
        "Runs of each kind (rows) of which a finding (columns) is told at the end.",
        "",
    ]
    lines.append("| planted | n | nothing | " + " | ".join(n.replace("_", " ") for n in names) + " |")
    lines.append("|---" * (len(names) + 3) + "|")
    for fault in ("healthy", *TRUTHS):
        its = [t for t in known if t.outcome.case.fault == fault]
        counts = Counter(name for t in its for name in t.names)
        cells = [_cell(fault, name, counts[name]) for name in names]
        nothing = sum(not t.names for t in its)
        lines.append(f"| {fault.replace('_', ' ')} | {len(its)} | {nothing or ''} | " + " | ".join(cells) + " |")
    lines.append("\nBold: what the diagnosis is expected to tell.")
    return "\n".join(lines)


def _cell(fault: str, name: str, count: int) -> str:
    expected = fault in TRUTHS and name in TRUTHS[fault].expected
    return f"**{count}**" if expected else str(count or "")


def _times(told: Sequence[Told]) -> str:
    lines = [
        "## How soon it is told",
        "",
        "Share of the training's steps after which the right finding was told for the first time, at the steps that",
        "were recorded (0, 1, 2, 4, 6, 12, ...).",
        "",
        "| planted | named | median | last | AutoTrainer named | median |",
        "|---|---|---|---|---|---|",
    ]
    for fault in TRUTHS:
        its = [t for t in told if t.outcome.case.fault == fault and t.outcome.label == "faulty"]
        ours = [t.first for t in its if t.first is not None]
        theirs = [t.autotrainer_first for t in its if t.autotrainer_first is not None]
        lines.append(
            f"| {fault.replace('_', ' ')} | {len(ours)} of {len(its)} | {_percent(np.median, ours)} "
            f"| {_percent(max, ours)} | {len(theirs)} of {len(its)} | {_percent(np.median, theirs)} |"
        )
    return "\n".join(lines)


def _percent(of: Callable[[list[float]], float], values: list[float]) -> str:
    return f"{of(values):.1%}" if values else ""


def _cures(cured: CureRate | None) -> str:
    if cured is None:
        return ""
    rows = [
        f"| {fault.replace('_', ' ')} | {c.cured} of {c.tried} | {np.median(c.tries):.0f} |"
        for fault, c in cured.by_fault.items()
    ]
    lines = [
        "## Cured",
        "",
        _paragraph(
            f"""The first {FIRST} faulty runs of each fault of the half that was not looked at, cured as
            `gradscope cure` does it: the remedies of the findings as short real runs, at most {cured.most} tries; a
            slip in code or data is mended where a finding names it. Cured is a run without findings that learns as a
            healthy one."""
        ),
        "",
        "| planted | cured | tries, median |",
        "|---|---|---|",
        *rows,
        f"| all | {_share(cured.cured, cured.tried)} | |",
    ]
    return "\n".join(lines)
