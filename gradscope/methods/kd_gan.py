"""KDGAN: "Knowledge Distillation with Generative Adversarial Networks" (Wang et al., NeurIPS 2018).

Three players, with C the student, T the teacher and D(x, y) = sigmoid of the discriminator's logit of label y:

    min_(C,T) max_D  E_data[log D] + (1 - w) E_(y~C)[log(1 - D)] + w E_(y~T)[log(1 - D)] + b L(C, T) + c L(T, C)

The objective is written from memory and agrees with the flags of the authors' code. The code draws labels and takes
policy gradients or Gumbel samples; with K classes the expectation is a sum of K numbers, which is taken here: the same
objective without the noise. The code plays 20 epochs of D, 10 of C and 10 of T in turn; here each mini-batch is one
move of each.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Adam

from gradscope.config import KdGan
from gradscope.data import MiniBatch
from gradscope.methods.base import Given
from gradscope.methods.distillation import Distilling, Lesson
from gradscope.models import build_model


def fooling(logits: Tensor, verdicts: Tensor) -> Tensor:
    """E_(y~p)[log(1 - D(x, y))], mean over the batch: low where the player's labels pass for true ones; a scalar.

    Args:
        logits: of a player, [B, K]; p is their softmax.
        verdicts: the discriminator's logits, [B, K], without a gradient.
    """
    return (functional.softmax(logits, dim=1) * functional.logsigmoid(-verdicts)).sum(dim=1).mean()


def telling_apart(verdicts: Tensor, labels: Tensor, student: Tensor, teacher: Tensor, share: float) -> Tensor:
    """The discriminator's loss: -E_data[log D] - (1 - w) E_C[log(1 - D)] - w E_T[log(1 - D)], a scalar.

    Args:
        verdicts: its logits, [B, K].
        labels: int64 [B].
        student: the student's logits, [B, K], without a gradient.
        teacher: the teacher's logits, [B, K], without a gradient.
        share: w, of the teacher among the false labels.
    """
    true = functional.logsigmoid(verdicts.gather(1, labels[:, None])).mean()
    return -true - (1 - share) * fooling(student, verdicts) - share * fooling(teacher, verdicts)


def mimic(logits: Tensor, others: Tensor) -> Tensor:
    """Half the squared distance of two players' logits [B, K], mean over the batch; a scalar."""
    return 0.5 * (logits - others).square().sum(dim=1).mean()


class Discriminator:
    """A network of the student's kind, from pictures to a verdict on each label, with an optimiser of its own."""

    def __init__(self, settings: KdGan, given: Given) -> None:
        self.share = settings.teacher_share
        self.net = build_model(
            given.config.model, given.data.shape, len(given.data.classes), seed=given.generator.initial_seed() + 1
        ).to(given.device)
        self.optimizer = Adam(self.net.parameters(), settings.discriminator_rate)

    def learn(self, batch: MiniBatch, student: Tensor, teacher: Tensor) -> None:
        """One move, against the logits [B, K] of the two others."""
        self.optimizer.zero_grad(set_to_none=True)
        telling_apart(self.net(batch.images), batch.labels, student, teacher, self.share).backward()  # type: ignore[no-untyped-call]  # untyped in torch
        self.optimizer.step()

    @torch.no_grad()
    def verdicts(self, images: Tensor) -> Tensor:
        """[B, K]."""
        found: Tensor = self.net(images)
        return found

    def state_dict(self) -> dict[str, Any]:  # Any: as in Method
        """Network and optimiser."""
        return {"net": self.net.state_dict(), "optimizer": self.optimizer.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # Any: as in Method
        """Back to it."""
        self.net.load_state_dict(state["net"])
        self.optimizer.load_state_dict(state["optimizer"])


class Game:
    """The moves of discriminator and teacher to a batch, and the student's terms after them."""

    def __init__(self, settings: KdGan, given: Given, teacher: nn.Module) -> None:
        self.settings, self.teacher = settings, teacher
        self.discriminator = Discriminator(settings, given)
        self.teacher_optimizer: Adam | None = None
        if settings.teacher_learns:
            teacher.requires_grad_(True)
            self.teacher_optimizer = Adam(teacher.parameters(), settings.teacher_rate)

    def terms(self, lesson: Lesson) -> dict[str, Tensor]:
        """The terms `adversary` and `mimic`; the others have moved when they come."""
        student = lesson.logits.detach()
        self.discriminator.learn(lesson.batch, student, lesson.answers)
        verdicts = self.discriminator.verdicts(lesson.batch.images)
        if self.teacher_optimizer is not None:
            self._teach_teacher(self.teacher_optimizer, lesson.batch, student, verdicts)
        own = self.settings
        return {
            "adversary": (1 - own.teacher_share) * fooling(lesson.logits, verdicts),
            "mimic": own.mimic_weight * mimic(lesson.logits, lesson.answers),
        }

    def _teach_teacher(self, optimizer: Adam, batch: MiniBatch, student: Tensor, verdicts: Tensor) -> None:
        own = self.settings
        optimizer.zero_grad(set_to_none=True)
        answers = self.teacher(batch.images)
        loss = own.teacher_share * fooling(answers, verdicts) + own.teacher_learns * mimic(answers, student)
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        optimizer.step()

    def state_dict(self) -> dict[str, Any]:  # Any: as in Method
        """The discriminator, and the teacher where it learns."""
        state: dict[str, Any] = {"discriminator": self.discriminator.state_dict()}
        if self.teacher_optimizer is not None:
            state |= {"teacher": self.teacher.state_dict(), "optimizer": self.teacher_optimizer.state_dict()}
        return state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # Any: as in Method
        """Back to it."""
        self.discriminator.load_state_dict(state["discriminator"])
        if self.teacher_optimizer is not None:
            self.teacher.load_state_dict(state["teacher"])
            self.teacher_optimizer.load_state_dict(state["optimizer"])


class KdGanMethod(Distilling[KdGan]):
    """The student's move is the run's own step; the others move before it, against the student's answers to the batch
    before its step.
    """

    @property
    def asks_once(self) -> bool:
        """Unless the teacher learns."""
        return not self.settings.teacher_learns

    def make(self, given: Given) -> None:
        """The other players."""
        self.game = Game(self.settings, given, self.teacher)

    def further(self, model: nn.Module, lesson: Lesson) -> Mapping[str, Tensor]:
        """The terms `adversary` and `mimic`."""
        return self.game.terms(lesson)

    def state_dict(self) -> Mapping[str, Any]:  # Any: as in Method
        """The other players'."""
        return self.game.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:  # Any: as in Method
        """Back to it."""
        self.game.load_state_dict(state)
