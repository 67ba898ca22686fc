"""Recording as often as a share of the training time allows: the recorder measures itself and adapts its interval.

With c the time that recording a step costs and t that of a step without it, recording every N steps takes the share
c / (N t + c). N is a power of two, so that a change doubles or halves the points of a chart and leaves the others where
they are; medians of the last steps stand for c and t, so that a pause for a validation or a busy moment of the machine
changes nothing. N grows as soon as the share exceeds the budget. It shrinks only when half of it would keep well below
the budget, several records in a row: between the two it stays.
"""

from collections import deque
from collections.abc import Iterator
from itertools import count
from statistics import median

from gradscope.config.train import BUDGET
from gradscope.errors import RecorderError
from gradscope.recorder.timer import Lap
from gradscope.records import Pace

_FIRST = 16
"""Steps between records until the cost is known."""
_COSTS, _STEPS = 15, 32
"""How many of the last are looked at."""
_ENOUGH = 3
"""Costs after which the interval is chosen, and records in a row after which it shrinks."""
_CALM = 0.6
"""It shrinks where that takes at most this share of the budget."""


class Budgeted:
    """A schedule: steps 0, 1, 2, 4, 8, ..., and every so many as the budget allows."""

    def __init__(self, budget: float = BUDGET) -> None:
        """
        Args:
            budget: share of the training time that recording may take, above 0 and at most 1.

        Raises:
            RecorderError: it is no such number.
        """
        if isinstance(budget, bool) or not isinstance(budget, float | int) or not 0 < budget <= 1:
            raise RecorderError(
                f"budget={budget!r} is no share of the time; give a number above 0 and at most 1, such as budget=0.02"
            )
        self._budget = float(budget)
        self._every = _FIRST
        self._settled = self._chosen = False
        self._costs: deque[float] = deque(maxlen=_COSTS)
        self._steps: deque[float] = deque(maxlen=_STEPS)
        self._calm = 0

    @property
    def pace(self) -> Pace:
        """How often a step is due at present."""
        return Pace(record_every=self._every, record_budget=self._budget)

    def __call__(self, step: int) -> bool:
        """Whether the step is due."""
        return step & (step - 1) == 0 or (self._settled and step % self._every == 0)

    def note(self, lap: Lap) -> None:
        """A step is done."""
        if not lap.recorded or self._every == 1:
            self._steps.append(lap.seconds - lap.cost)
        if not lap.recorded:
            return
        if self._settled:
            self._costs.append(lap.cost + (self._delay(lap) if lap.slowed else 0.0))
            self._adapt()
        # the first record after that still pays for what is made once
        self._settled = self._settled or lap.settled

    def _delay(self, lap: Lap) -> float:
        return max(0.0, lap.seconds - lap.cost - median(self._steps)) if self._steps else 0.0

    def _adapt(self) -> None:
        if min(len(self._costs), len(self._steps)) < _ENOUGH or median(self._steps) <= 0:
            return
        if not self._chosen or self._share(self._every) > self._budget:
            powers: Iterator[int] = (2**k for k in count())
            least = self._every if self._chosen else 1
            self._every = next(n for n in powers if n >= least and self._share(n) <= self._budget)
            self._chosen, self._calm = True, 0
        elif self._every > 1 and self._share(self._every // 2) <= _CALM * self._budget:
            self._calm += 1
            if self._calm == _ENOUGH:
                self._every, self._calm = self._every // 2, 0
        else:
            self._calm = 0

    def _share(self, every: int) -> float:
        """Of the time, if one in so many steps is recorded."""
        cost = median(self._costs)
        return cost / (every * median(self._steps) + cost)
