"""The learning rate at each step: pure functions of time, so that they can be drawn before a run starts."""

import math
from collections.abc import Callable

from gradscope.config import Constant, Cosine, CosineRestarts, CosineWave, RunConfig, ScheduleSettings, StepDecay


def learning_rate(config: RunConfig, step: int, steps_per_epoch: int) -> float:
    """Learning rate of an optimiser step, counted from 0."""
    epoch = step / steps_per_epoch
    body = config.train.epochs - config.schedule.tail_epochs
    if epoch >= body:
        return config.schedule.tail_lr
    return _CURVES[type(config.schedule)](config.schedule, config.optimizer.lr, epoch, body)


def _constant(_: Constant, peak: float, epoch: float, body: float) -> float:
    return peak


def _step_decay(schedule: StepDecay, peak: float, epoch: float, body: float) -> float:
    passed = sum(epoch >= share * body for share in schedule.milestones)
    return peak * float(schedule.gamma**passed)


def _cosine(schedule: Cosine, peak: float, epoch: float, body: float) -> float:
    return _fall(peak, schedule.min_lr, epoch / body)


def _cosine_restarts(schedule: CosineRestarts, peak: float, epoch: float, body: float) -> float:
    return _fall(peak, schedule.min_lr, epoch / schedule.period_epochs % 1)


def _cosine_wave(schedule: CosineWave, peak: float, epoch: float, body: float) -> float:
    wave = math.cos(2 * math.pi * epoch / schedule.period_epochs)
    return schedule.min_lr + (peak - schedule.min_lr) * (1 + (-wave if schedule.rising_first else wave)) / 2


def _fall(high: float, low: float, share: float) -> float:
    """Half a cosine from high at share 0 to low at share 1 (Loshchilov & Hutter 2017, eq. 5)."""
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


_CURVES: dict[type[ScheduleSettings], Callable[..., float]] = {
    Constant: _constant,
    StepDecay: _step_decay,
    Cosine: _cosine,
    CosineRestarts: _cosine_restarts,
    CosineWave: _cosine_wave,
}
