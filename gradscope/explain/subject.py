"""A run's network as something to ask about: its test pictures, its answers, what pictures are compared with."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gradscope.attributions import Attributions, Predictions
from gradscope.config.explaining import Target
from gradscope.data import batches
from gradscope.errors import ConfigError
from gradscope.explain.attribute import Maps
from gradscope.explain.question import Question, References
from gradscope.store import Store, read_attributions
from gradscope.trained import Trained

POOL = 1000
"""Training pictures that a background is taken from."""
POOL_SEED = 0


def references(trained: Trained) -> References:
    """The mean colour, black and 1,000 training pictures, as the run's network sees them."""
    data, device = trained.data, trained.device
    colour = torch.tensor(data.mean, device=device).reshape(1, -1, 1, 1) * 255
    mean = trained.normalise(colour.expand(1, *data.shape))[0]
    black = trained.normalise(torch.zeros(1, *data.shape, device=device))[0]
    order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(POOL_SEED))[:POOL]
    return References(mean=mean, black=black, pool=trained.normalise(data.train.images[order.to(device)]).contiguous())


def answers_of(store: Store, trained: Trained, batch_size: int = 500) -> Predictions:
    """What the network answers to every test picture; asked once for a checkpoint, and kept."""
    known = read_attributions.predictions(store, trained.run_id, trained.fingerprint)
    if known is not None:
        return known
    test = trained.data.test
    with torch.no_grad():
        parts = [
            trained.model(images).float().softmax(dim=1).cpu()
            for images, _ in batches(test, batch_size, transform=trained.normalise, shuffle=False)
        ]
    found = Predictions(
        labels=test.labels.cpu().numpy(),
        probabilities=torch.cat(parts).numpy(),
        classes=trained.data.classes,
        fingerprint=trained.data.fingerprint,
    )
    found.save(store.paths(trained.run_id).predictions(trained.fingerprint))
    return found


def check_target(target: Target, classes: Sequence[str]) -> None:
    """ConfigError for the number of a class that is not there."""
    if isinstance(target, int) and not 0 <= target < len(classes):
        raise ConfigError(
            f"target {target} is no class of this data; choose predicted, true or a number from 0 to {len(classes) - 1}"
        )


def check_same_pictures(run_id: int, own: Predictions, other_id: int, other: Predictions) -> None:
    """ConfigError where two runs were not tested on the same pictures."""
    if (own.fingerprint, len(own.labels)) != (other.fingerprint, len(other.labels)):
        raise ConfigError(
            f"runs {run_id} and {other_id} are not tested on the same pictures, so nothing can be chosen by what both "
            "answer; compare runs of the same data and limit"
        )


def question(trained: Trained, compared: References, target: Target, places: Sequence[int]) -> tuple[Question, Tensor]:
    """Why the network gives the test pictures at these places this class, and its probabilities, [B, K]."""
    test = trained.data.test
    index = torch.as_tensor(list(places), dtype=torch.int64, device=trained.device)
    images = trained.normalise(test.images[index]).contiguous()
    with torch.no_grad():
        probabilities: Tensor = trained.model(images).float().softmax(dim=1)
    targets = _classes(target, probabilities, test.labels[index])
    return Question(model=trained.model, images=images, targets=targets, references=compared), probabilities


def _classes(target: Target, probabilities: Tensor, labels: Tensor) -> Tensor:
    if isinstance(target, int):
        return torch.full_like(labels, target)
    named = {"predicted": probabilities.argmax(dim=1), "true": labels}
    return named[target]


def kept(trained: Trained, places: Sequence[int], asked: Question, probabilities: Tensor, maps: Maps) -> Attributions:
    """The maps with all that a page shows beside them, as arrays."""
    test = trained.data.test.take(torch.as_tensor(list(places), dtype=torch.int64, device=trained.device)).to("cpu")
    return Attributions(
        places=np.asarray(places, np.int64),
        images=test.images.numpy(),
        labels=test.labels.numpy(),
        probabilities=probabilities.cpu().numpy(),
        targets=asked.targets.cpu().numpy(),
        maps=maps.values.cpu().numpy(),
        totals=maps.totals.cpu().numpy(),
        differences=maps.differences.cpu().numpy(),
        logits=maps.logits.cpu().numpy(),
        object_mask=None if test.object_mask is None else test.object_mask.numpy(),
        contour_mask=None if test.contour_mask is None else test.contour_mask.numpy(),
    )
