"""What all distillations share: a teacher that is asked, layers that are listened to, terms that are summed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from gradscope.config import Distillation
from gradscope.data import MiniBatch, batches
from gradscope.labelling import ONE, labelling_of
from gradscope.methods.base import LABEL, Given, Judged, Method
from gradscope.methods.features import Pair, captured

S = TypeVar("S", bound=Distillation)
Features = Mapping[str, Tensor]
"""Outputs of layers by their names."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What student and teacher said to a batch."""

    batch: MiniBatch
    logits: Tensor
    """The student's, [B, K]."""
    answers: Tensor
    """The teacher's, [B, K], without a gradient."""
    mine: Features
    """The student's layers."""
    theirs: Features
    """The teacher's, without a gradient."""


class Distilling(Method, Generic[S]):
    """Cross entropy, Hinton's term and whatever a subclass adds; each with its weight, and left out where that is 0.

    Subclasses override `match` (which layers), `make` (what they bring) and `further` (their own terms).
    """

    def __init__(self, settings: S) -> None:
        self.settings = settings
        self.pairs: Sequence[Pair] = ()
        """Layers that are compared."""
        self._judges_outputs = self._judges_own = True
        """Which terms count in the present stage."""
        self.labelling = ONE
        """How the pictures are labelled."""
        self._known: Tensor | None = None
        """The teacher's logits [N, K] to every training picture, where it always sees the same pictures."""

    def prepare(self, given: Given) -> None:
        """Load the teacher and pair the layers; ask it once for all where pictures are not augmented."""
        self.labelling = labelling_of(given.config.data)
        self.teacher = given.teacher(self.settings)
        self.pairs = self.match(given)
        self.make(given)
        if self.asks_once and given.config.data.augment == "none":
            given.tell("asking the teacher")
            self._known = all_logits(self.teacher, given)

    @property
    def judges_hidden(self) -> bool:
        """Where layers are compared."""
        return type(self).match is not Distilling.match

    @property
    def asks_once(self) -> bool:
        """Whether the teacher's logits are all that is wanted of it, and it stays as it is."""
        return not self.pairs

    @property
    def first_stage(self) -> float:
        """Share of the epochs that train on the method's own terms alone, after which they no longer count."""
        return 0.0

    def at_epoch(self, model: nn.Module, epoch: int, epochs: int) -> str | None:
        """Which terms count from now on."""
        first = first_epochs(self.first_stage, epochs)
        self._judges_own, self._judges_outputs = epoch < first or not first, epoch >= first
        return None if not first else f"stage {1 if epoch < first else 2} of 2"

    def match(self, given: Given) -> Sequence[Pair]:
        """Which layers are compared; none by default.

        Raises:
            ConfigError: the layers cannot be compared in this way.
        """
        return ()

    def make(self, given: Given) -> None:
        """What else is needed; called once the layers are paired."""

    def objective(self, model: nn.Module, batch: MiniBatch) -> Judged:
        """Logits [B, K] of the student, and the terms `label`, `distillation` and those of the method."""
        with captured(model, [mine.name for mine, _ in self.pairs]) as mine:
            logits: Tensor = model(batch.images)
        answers, theirs = self.ask(batch)
        lesson = Lesson(batch=batch, logits=logits, answers=answers, mine=mine, theirs=theirs)
        terms = self.outputs(lesson) if self._judges_outputs else {}
        if self._judges_own:
            terms |= self.further(model, lesson)
        return Judged(logits=logits, terms=terms)

    def outputs(self, lesson: Lesson) -> dict[str, Tensor]:
        """The terms `label` and `distillation`, those of them that have a weight."""
        own, terms = self.settings, {}
        if own.label_weight:
            terms[LABEL] = own.label_weight * self.labelling.loss(lesson.logits, lesson.batch.labels)
        if own.kd_weight:
            followed = self.labelling.divergence(lesson.logits, lesson.answers, own.temperature)
            terms["distillation"] = own.kd_weight * followed
        return terms

    def further(self, model: nn.Module, lesson: Lesson) -> Mapping[str, Tensor]:
        """The method's own terms for the student, `model`."""
        return {}

    @torch.no_grad()
    def ask(self, batch: MiniBatch) -> tuple[Tensor, Features]:
        """The teacher's logits [B, K] and layers for a batch; without a pass where they are known."""
        if self._known is not None:
            return self._known[batch.places], {}
        with captured(self.teacher, [theirs.name for _, theirs in self.pairs]) as theirs:
            return self.teacher(batch.images), theirs


@torch.no_grad()
def all_logits(teacher: nn.Module, given: Given, batch_size: int = 500) -> Tensor:
    """What a teacher answers to every training picture as it is, [N, K]."""
    seen = batches(given.data.train, batch_size, transform=given.normalise, shuffle=False)
    return torch.cat([teacher(images) for images, _ in seen])


def first_epochs(share: float, epochs: int) -> int:
    """How many epochs a first stage of that share has: none for 0, else at least one, and never all."""
    return min(max(1, int(share * epochs)), epochs - 1) if share else 0
