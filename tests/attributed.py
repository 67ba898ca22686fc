"""Runs with attributions that nobody had to compute."""

from datetime import UTC, datetime

import numpy as np

from gradscope.attributions import Attributions, Checks, Predictions
from gradscope.config.attributions import AttributionSettings, IntegratedGradients
from gradscope.config.explaining import ImageSet
from gradscope.measured import Attribution, Part
from gradscope.store import Store, write_attributions

N_TEST = 60
CLASSES = ("cat", "dog", "horse")


def pictures(n: int = N_TEST, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """Test pictures uint8 [n, 3, side, side] with a bright square, and their labels."""
    random = np.random.default_rng(0)
    images = random.integers(0, 60, (n, 3, side, side)).astype(np.uint8)
    images[:, :, 4:12, 4:12] += 150
    return images, random.integers(0, len(CLASSES), n)


def answer(store: Store, run_id: int, fingerprint: str = "abc", n: int = N_TEST, data: str = "same") -> Predictions:
    """What the run's network answers to every test picture: right on two of three."""
    labels = pictures(n)[1]
    random = np.random.default_rng(run_id)
    guess = np.where(random.random(n) < 2 / 3, labels, (labels + 1) % len(CLASSES))
    probabilities = np.full((n, len(CLASSES)), 0.1)
    probabilities[np.arange(n), guess] = 0.8
    found = Predictions(labels=labels, probabilities=probabilities, classes=CLASSES, fingerprint=data)
    found.save(store.paths(run_id).predictions(fingerprint))
    return found


def explain(
    store: Store,
    run_id: int,
    method: AttributionSettings | None = None,
    places: list[int] | None = None,
    *,
    checks: bool = False,
    missed: float = 0.0,
    step: int = 10,
    fingerprint: str = "abc",
    target: str = "predicted",
    seconds: float = 0.5,
) -> None:
    """Maps of these places (those of the default image set), whose sums miss by a share of what they promise."""
    method = method or IntegratedGradients()
    known = answer(store, run_id, fingerprint)
    at = np.array(places if places is not None else default_places())
    images, labels = pictures()
    random = np.random.default_rng(100 * run_id)
    maps = random.normal(size=(len(at), 3, 16, 16)) + 2 * (images[at] > 100) * (run_id % 3)
    totals = maps.sum((1, 2, 3))
    kept = Attributions(
        places=at,
        images=images[at],
        labels=labels[at],
        probabilities=known.probabilities[at],
        targets=known.probabilities[at].argmax(1),
        maps=maps,
        totals=totals,
        differences=totals * (1 + missed) if method.adds_up else np.full(len(at), np.nan),
        logits=totals,
    )
    kept.save(store.paths(run_id).attributions(f"{method.name}-{run_id}"))
    common = {
        "run_id": run_id,
        "fingerprint": fingerprint,
        "step": step,
        "method": method.model_dump_json(),
        "target": target,
        "places": tuple(at.tolist()),
        "refusal": None,
        "created": datetime.now(UTC),
    }
    file = f"{method.name}-{run_id}"
    write_attributions.add(store, Attribution(part=Part.MAPS, file=file, seconds=seconds * len(at), **common))
    if checks:
        sane = Checks(places=at, deletion=at * 0 + 0.2, insertion=at * 0 + 0.7, sanity=random.normal(0, 0.1, len(at)))
        sane.save(store.paths(run_id).attributions(f"checks-{file}"))
        write_attributions.add(store, Attribution(part=Part.CHECKS, file=f"checks-{file}", seconds=1.0, **common))


def refuse(store: Store, run_id: int, method: AttributionSettings, why: str, step: int = 10) -> None:
    """The method cannot explain the run's network."""
    answer(store, run_id)
    write_attributions.add(
        store,
        Attribution(
            run_id=run_id,
            fingerprint="abc",
            step=step,
            part=Part.REFUSAL,
            method=method.model_dump_json(),
            target="predicted",
            places=(),
            file=None,
            refusal=why,
            seconds=0.1,
            created=datetime.now(UTC),
        ),
    )


def default_places(n: int = 24) -> list[int]:
    """The places of the first n pictures of seed 0."""
    from gradscope.analysis.image_sets import chosen

    return chosen(ImageSet(n=n), pictures()[1], []).tolist()
