"""The runs that make up a reproduction: which there are, which are missing, and what each is tagged with.

A run belongs to an experiment at a scale by its tags, and counts only while its settings are those that the experiment
has now: after a change of an experiment its old runs stay in the store and are trained anew.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradscope.config import RunConfig
from gradscope.records import Run, Status
from gradscope.reproduce.paper import Experiment, Paper
from gradscope.reproduce.scales import Scale, read_from, with_seed
from gradscope.store import Store, read

Values = Mapping[str, Any]  # Any: whatever a setting may be

_BESIDE_THE_RESULT = {"preset", "record"}
_OF_DATA = {"name", "path", "label"}
_OF_TRAIN = {"device", "checkpoint_every"}


@dataclass(frozen=True, kw_only=True)
class Item:
    """One training of a reproduction."""

    experiment: Experiment
    seed: int
    config: RunConfig
    """As it is to be trained."""
    tags: tuple[str, ...]
    run: Run | None
    """None as long as it was never started."""

    @property
    def name(self) -> str:
        """Of the run."""
        return f"{self.experiment.name} seed {self.seed}"

    @property
    def is_done(self) -> bool:
        """Whether training it again would bring nothing new; one that diverged would diverge again."""
        return self.run is not None and self.run.status in {Status.COMPLETED, Status.DIVERGED}

    @property
    def is_going(self) -> bool:
        """Whether somebody trains it, or will when there is room."""
        return self.run is not None and not self.run.status.is_final


@dataclass(frozen=True, kw_only=True)
class Group:
    """A paper's experiments at one scale over some seeds; seed by seed, so that early stops leave whole comparisons."""

    paper: Paper
    scale: Scale
    items: tuple[Item, ...] = field(default=())

    @property
    def to_train(self) -> list[Item]:
        """Those that are neither done nor under way."""
        return [item for item in self.items if not (item.is_done or item.is_going)]

    def counts(self) -> Counter[str]:
        """How many there are of each status, `missing` included."""
        return Counter(item.run.status.value if item.run else "missing" for item in self.items)


def find_group(
    store: Store | None,
    paper: Paper,
    scale: Scale,
    experiments: Sequence[Experiment],
    seeds: Sequence[int],
    data_folder: str | None = None,
) -> Group:
    """Every training of these experiments and seeds, with its run where the store has one.

    Args:
        store: None for one that is not made yet.
        paper: Whose experiments these are.
        scale: How large.
        experiments: In the order in which they are trained.
        seeds: Of each experiment.
        data_folder: Where the parquet files of the data sets lie; None downloads them. Runs on either count.

    Raises:
        ConfigError: the folder lacks a data set.
    """
    known = tagged(read.runs(store), paper, scale) if store else []
    fitted = {e.name: read_from(scale.fit(e.config), data_folder) for e in experiments}
    items = [_item(paper, scale, e, with_seed(fitted[e.name], seed), known) for seed in seeds for e in experiments]
    return Group(paper=paper, scale=scale, items=tuple(items))


def tagged(runs: Sequence[Run], paper: Paper, scale: Scale) -> list[Run]:
    """The runs of a reproduction at a scale, whatever their settings."""
    return [run for run in runs if {paper.tag, scale.name} <= set(run.tags)]


def seeds_of(runs: Sequence[Run]) -> list[int]:
    """The seeds that these runs were started with."""
    return sorted({int(run.config["train"]["seed"]) for run in runs})  # type: ignore[index]  # as we wrote it


def _item(paper: Paper, scale: Scale, experiment: Experiment, config: RunConfig, known: Sequence[Run]) -> Item:
    wanted = essence(config.model_dump(mode="json"))
    own = [run for run in known if experiment.name in run.tags and essence(run.config) == wanted]
    # newest first: one that is done, else one that goes, else one to go on with
    own.sort(key=lambda run: (run.status is not Status.COMPLETED, run.status.is_final))
    return Item(
        experiment=experiment,
        seed=config.train.seed,
        config=config,
        tags=(paper.tag, scale.name, experiment.name),
        run=own[0] if own else None,
    )


def essence(config: Values) -> dict[str, Any]:  # Any: as above
    """The settings that decide a run's result: not where its data lie, what is recorded, on which device it runs."""
    kept = {name: value for name, value in config.items() if name not in _BESIDE_THE_RESULT}
    kept["data"] = {name: value for name, value in config["data"].items() if name not in _OF_DATA}
    kept["train"] = {name: value for name, value in config["train"].items() if name not in _OF_TRAIN}
    return kept
