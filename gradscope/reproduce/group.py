"""The runs that make up a reproduction: which there are, which are missing, and what each is tagged with.

A run belongs to an experiment at a scale by its tags, and counts only while its settings are those that the experiment
has now: after a change of an experiment its old runs stay in the store and are trained anew.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradscope.analysis.settings import essence
from gradscope.config import Robustness, RunConfig
from gradscope.jobs.teaching import taught_by
from gradscope.measured import Task
from gradscope.records import Run, Status
from gradscope.reproduce.paper import Experiment, Paper
from gradscope.reproduce.scales import Scale, lacking, read_from, with_seed
from gradscope.store import Store, read, read_tasks

Values = Mapping[str, Any]  # Any: whatever a setting may be


@dataclass(frozen=True, kw_only=True)
class Item:
    """One training of a reproduction."""

    experiment: Experiment
    seed: int
    config: RunConfig
    """As it is to be trained."""
    lacks: str | None
    """The sub-folder with its data that has to be named before it can be trained."""
    tags: tuple[str, ...]
    run: Run | None
    """None as long as it was never started."""

    noise: Robustness | None
    """How the trained network is tested on noisy pictures; None where the paper does not."""
    task: Task | None
    """That test, the newest; None as long as it was never started."""

    @property
    def name(self) -> str:
        """Of the run."""
        return f"{self.experiment.name} seed {self.seed}"

    @property
    def is_trained(self) -> bool:
        """Whether training it again would bring nothing new; one that diverged would diverge again."""
        return self.run is not None and self.run.status in {Status.COMPLETED, Status.DIVERGED}

    @property
    def lacks_noise(self) -> bool:
        """Whether it is trained and its test on noisy pictures is not done."""
        completed = self.run is not None and self.run.status is Status.COMPLETED
        return completed and self.noise is not None and not (self.task and self.task.status is Status.COMPLETED)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.is_trained and not self.lacks_noise

    @property
    def is_going(self) -> bool:
        """Whether somebody works on it, or will when there is room."""
        work = (self.run, self.task if self.lacks_noise else None)
        return any(part is not None and not part.status.is_final for part in work)


@dataclass(frozen=True, kw_only=True)
class Group:
    """A paper's experiments at one scale over some seeds; seed by seed, so that early stops leave whole comparisons."""

    paper: Paper
    scale: Scale
    items: tuple[Item, ...]

    @property
    def to_do(self) -> list[Item]:
        """Those that are neither done nor under way and have their data."""
        return [item for item in self.items if not (item.is_done or item.is_going or item.lacks)]

    def counts(self) -> Counter[str]:
        """How many runs there are of each status, `missing` included."""
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
        data_folder: Where the data sets lie, each in its sub-folder; without it they are downloaded where they can be.
            Runs on either count.
    """
    known = _Known(store, paper, scale)
    fitted = {e.name: scale.config(e) for e in experiments}
    placed = {name: read_from(config, data_folder) for name, config in fitted.items()}
    lacks = {name: lacking(config, data_folder) for name, config in fitted.items()}
    items = [known.item(e, with_seed(placed[e.name], seed), lacks[e.name]) for seed in seeds for e in experiments]
    return Group(paper=paper, scale=scale, items=tuple(items))


def tagged(runs: Sequence[Run], paper: Paper, scale: Scale) -> list[Run]:
    """The runs of a reproduction at a scale, whatever their settings."""
    return [run for run in runs if {paper.tag, scale.name} <= set(run.tags)]


def seeds_of(runs: Sequence[Run]) -> list[int]:
    """The seeds that these runs were started with."""
    return sorted({int(run.config["train"]["seed"]) for run in runs})  # type: ignore[index]  # as we wrote it


class _Known:
    """What a store has of a reproduction at a scale."""

    def __init__(self, store: Store | None, paper: Paper, scale: Scale) -> None:
        self._paper, self._scale = paper, scale
        self._runs = tagged(read.runs(store), paper, scale) if store else []
        noise, ids = scale.noise.model_dump(mode="json"), [run.id for run in self._runs]
        found = read_tasks.tasks(store, ids, scale.noise.name) if store else []
        # newest last, so that it is the one that stays
        self._tasks = {task.run_id: task for task in reversed(found) if task.settings == noise}

    def item(self, experiment: Experiment, config: RunConfig, lacks: str | None) -> Item:
        teacher = self._teacher(experiment, config.train.seed)
        config = config if teacher is None else taught_by(config, teacher.id)
        run = self._run(experiment, essence(config.model_dump(mode="json")))
        return Item(
            experiment=experiment,
            seed=config.train.seed,
            config=config,
            lacks=lacks,
            tags=(self._paper.tag, self._scale.name, experiment.name),
            run=run,
            noise=self._scale.noise if experiment.noise else None,
            task=self._tasks.get(run.id) if run else None,
        )

    def _teacher(self, experiment: Experiment, seed: int) -> Run | None:
        """The run that teaches it; None as long as there is none, or where it has none."""
        found = next((e for e in self._paper.experiments if e.name == experiment.teacher), None)
        if found is None:
            return None
        config = with_seed(self._scale.config(found), seed)
        return self._run(found, essence(config.model_dump(mode="json")))

    def _run(self, experiment: Experiment, wanted: Values) -> Run | None:
        """The newest completed one, else one that goes, else one to go on with."""
        own = [run for run in self._runs if experiment.name in run.tags and essence(run.config) == wanted]
        own.sort(key=lambda run: (run.status is not Status.COMPLETED, run.status.is_final))
        return own[0] if own else None
