"""The store that the dashboard shows, and its reads, cached until something in the runs changes."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from gradscope.analysis.intervals import Interval
from gradscope.analysis.robustness import area
from gradscope.analysis.wording import plain, sentence
from gradscope.errors import StoreDamaged, StoreError
from gradscope.paths import is_url, store_name
from gradscope.records import Kind, Run
from gradscope.store import (
    Store,
    open_store,
    read,
    read_distilled,
    read_exits,
    read_metrics,
    read_robustness,
    read_terms,
)

if TYPE_CHECKING:
    from gradscope.analysis.findings import Tables
    from gradscope.config.explaining import Explain
    from gradscope.exit_answers import ExitAnswers
    from gradscope.overview import Overview

Key = tuple[object, ...]


@st.cache_resource(show_spinner=False, max_entries=4)
def _opened(name: str, identity: int | None) -> Store:
    return open_store(name, create=True)


@st.cache_resource(show_spinner=False)
def _shown_before() -> set[str]:
    """Stores that this server has shown."""
    return set()


def the_store() -> Store:
    """The store named by GRADSCOPE_STORE, made if it is missing; a page without a usable one shows why and stops."""
    name = store_name()
    if name in _shown_before() and _identity(name) is None and not is_url(name):
        _say_it_is_gone(name)
    try:
        found = _opened(name, _identity(name))
    except StoreError as error:
        st.error(plain(f"The store cannot be used: {error}."), icon=":material/database_off:")
        st.stop()
    _shown_before().add(name)
    return found


def _say_it_is_gone(name: str) -> None:
    """A store that was here a moment ago is not silently taken for a new, empty one."""
    gone = f"The store {name} was deleted or moved away. Put it back and reload this page, or begin an empty one."
    st.error(plain(gone), icon=":material/database_off:")
    st.button("Begin an empty store", on_click=_shown_before().discard, args=(name,), key="begin_store")
    st.stop()


def _identity(name: str) -> int | None:
    """Tells a file from another one of the same name."""
    path = Path(name)
    return path.stat().st_ino if not is_url(name) and path.exists() else None


def identity(store: Store) -> Key:
    """Tells the store from another one of the same name, for a page's own caches."""
    return store.name, _identity(store.name)


def _key(store: Store, runs: Sequence[Run]) -> Key:
    return store.name, _identity(store.name), *((run.id, run.revision) for run in runs)


def _ids(runs: Sequence[Run]) -> tuple[int, ...]:
    return tuple(run.id for run in runs)


@st.cache_data(show_spinner=False, max_entries=256)
def _cached(_question: Any, _store: Store, name: str, key: Key, *arguments: Any) -> Any:  # Any: each read's own
    return _question(_store, *arguments)


def profile(store: Store, runs: Sequence[Run], kind: Kind, step: int | None = None) -> pd.DataFrame:
    """See gradscope.store.read.profile."""
    return _cached(read.profile, store, "profile", _key(store, runs), _ids(runs), kind, step)


def metrics(store: Store, runs: Sequence[Run], names: tuple[str, ...], max_points: int = 1000) -> pd.DataFrame:
    """See gradscope.store.read.metrics."""
    return _cached(read.metrics, store, "metrics", _key(store, runs), _ids(runs), names, max_points)


def metric_names(store: Store, runs: Sequence[Run]) -> list[str]:
    """See gradscope.store.read_metrics.metric_names."""
    return list(_cached(read_metrics.metric_names, store, "metric_names", _key(store, runs), _ids(runs)))


def highest(store: Store, runs: Sequence[Run], names: tuple[str, ...]) -> pd.DataFrame:
    """See gradscope.store.read_metrics.highest."""
    return _cached(read_metrics.highest, store, "highest", _key(store, runs), _ids(runs), names)


def layers(store: Store, runs: Sequence[Run]) -> pd.DataFrame:
    """See gradscope.store.read.layers."""
    return _cached(read.layers, store, "layers", _key(store, runs), _ids(runs))


def layer_map(store: Store, run: Run, kind: Kind, max_steps: int) -> pd.DataFrame:
    """See gradscope.store.read.layer_map."""
    return _cached(read.layer_map, store, "layer_map", _key(store, [run]), run.id, kind, max_steps)


def update_ratio(store: Store, run: Run, layer: int) -> pd.DataFrame:
    """See gradscope.store.read.update_ratio."""
    return _cached(read.update_ratio, store, "update_ratio", _key(store, [run]), run.id, layer)


def gains(store: Store, runs: Sequence[Run], step: int | None = None) -> pd.DataFrame:
    """See gradscope.store.read.gains."""
    return _cached(read.gains, store, "gains", _key(store, runs), _ids(runs), step)


def gain_series(store: Store, run: Run, max_steps: int) -> pd.DataFrame:
    """See gradscope.store.read.gain_series."""
    return _cached(read.gain_series, store, "gain_series", _key(store, [run]), run.id, max_steps)


def term_cosines(store: Store, runs: Sequence[Run], step: int | None = None) -> pd.DataFrame:
    """See gradscope.store.read_terms.term_cosines."""
    return _cached(read_terms.term_cosines, store, "term_cosines", _key(store, runs), _ids(runs), step)


def term_steps(store: Store, runs: Sequence[Run]) -> list[int]:
    """See gradscope.store.read_terms.term_steps."""
    return list(_cached(read_terms.term_steps, store, "term_steps", _key(store, runs), _ids(runs)))


def distilled(store: Store, runs: Sequence[Run]) -> pd.DataFrame:
    """See gradscope.store.read_distilled.distilled."""
    return _cached(read_distilled.distilled, store, "distilled", _key(store, runs), _ids(runs))


def exits(store: Store, runs: Sequence[Run]) -> pd.DataFrame:
    """See gradscope.store.read_exits.exits."""
    return _cached(read_exits.exits, store, "exits", _key(store, runs), _ids(runs))


def exit_sweeps(store: Store, runs: Sequence[Run]) -> pd.DataFrame:
    """See gradscope.store.read_exits.sweeps."""
    return _cached(read_exits.sweeps, store, "exit_sweeps", _key(store, runs), _ids(runs))


def exit_answers(store: Store, run: Run, fingerprint: str, images: int) -> "ExitAnswers | None":
    """What every exit answers, which nobody may change; None, and why on the page, where the file cannot be read."""
    try:
        found = _answers(store, _key(store, [run]), run.id, fingerprint, images)
    except StoreDamaged as error:
        st.warning(plain(sentence(error)), icon=":material/broken_image:")
        return None
    return found


@st.cache_resource(show_spinner=False, max_entries=8)
def _answers(_store: Store, key: Key, run_id: int, fingerprint: str, images: int) -> "ExitAnswers":
    from gradscope.exit_answers import ExitAnswers

    return ExitAnswers.load(_store.paths(run_id).exit_answers(fingerprint, images))


def term_gradients(store: Store, runs: Sequence[Run], step: int | None = None) -> pd.DataFrame:
    """See gradscope.store.read_terms.term_gradients."""
    return _cached(read_terms.term_gradients, store, "term_gradients", _key(store, runs), _ids(runs), step)


def histograms(store: Store, run: Run, layer: int, kind: Kind) -> Any:  # Any: cached pair of arrays
    """See gradscope.store.read.histograms."""
    return _cached(read.histograms, store, "histograms", _key(store, [run]), run.id, layer, kind)


def steps(store: Store, runs: Sequence[Run], at_most: int = 400) -> list[int]:
    """Recorded steps of the runs together, thinned."""
    found = _cached(read.steps, store, "steps", _key(store, runs), _ids(runs))
    return read.thinned(sorted(int(s) for s in found["step"].unique()), at_most)


def robustness(store: Store, runs: Sequence[Run]) -> pd.DataFrame:
    """See gradscope.store.read_robustness.points."""
    return _cached(read_robustness.points, store, "robustness", _key(store, runs), _ids(runs))


def robustness_area(store: Store, run: Run, points: pd.DataFrame) -> Interval | None:
    """The area under a run's curves of the kinds in points; None where these were not measured on the same pictures."""
    last = points.drop_duplicates("kind", keep="last")
    names = ("fingerprint", "kind", "seed", "draws", "images")
    how = tuple(tuple(values) for values in last[list(names)].astype("object").to_numpy())
    found: Interval | None = _cached(_area, store, "robustness_area", _key(store, [run]), run.id, how)
    return found


def _area(store: Store, run_id: int, how: Sequence[Sequence[Any]]) -> Interval | None:  # Any: of right_counts
    if len({images for *_, images in how}) != 1:
        return None
    return area([read_robustness.right_counts(store, run_id, *each) for each in how])


def tables(store: Store, run: Run) -> "Tables":
    """See gradscope.diagnosis.tables_of."""
    from gradscope.diagnosis import tables_of  # with the settings classes, which no other page needs

    return _cached(tables_of, store, "tables", _key(store, [run]), run)


def health(store: Store, run: Run) -> pd.DataFrame:
    """See gradscope.analysis.findings.health.health."""
    return _cached(_health, store, "health", _key(store, [run]), run)


def _health(store: Store, run: Run) -> pd.DataFrame:
    from gradscope.analysis.findings.health import health as health_of

    return health_of(tables(store, run))


def overview(store: Store, runs: Sequence[Run], wanted: "Explain") -> "Overview":
    """See gradscope.overview.overview, which nobody may change; where a file is torn, the page says so and stops."""
    try:
        found = _gathered(store, _key(store, runs), _ids(runs), wanted.model_dump_json())
    except StoreDamaged as error:
        st.error(plain(sentence(error)), icon=":material/broken_image:")
        st.stop()
    return found


@st.cache_resource(show_spinner=False, max_entries=16)  # arrays: a copy for each look would cost more than the reading
def _gathered(_store: Store, key: Key, ids: tuple[int, ...], wanted: str) -> "Overview":
    from gradscope.config.explaining import Explain  # settings classes, which few pages need
    from gradscope.overview import overview as gather

    return gather(_store, ids, Explain.model_validate_json(wanted))
