"""When to sample more closely than the budget alone would: from what each step's facts say.

Decides nothing itself: it asks the cadence, which keeps the budget.
"""

import math
from typing import Final

from nntrace.recorder.cadence import Cadence
from nntrace.recorder.unrest import LossLevel

_LANDMARK_BITS: Final = 4


class Attention:
    """Follows the steps of one rank and asks its cadence for samples."""

    def __init__(self, cadence: Cadence) -> None:
        self._cadence = cadence
        self._level = LossLevel()
        self._saw_nonfinite = False

    def follow(self, steps: int, loss: object, *, jumped: bool | None, has_ranks: bool) -> None:
        """Look at a step that has ended.

        Args:
            steps: how many there were with it.
            loss: its loss, where it is a number already.
            jumped: whether the loss has left its level, where the adapter follows that itself.
            has_ranks: whether there are others to compare with.
        """
        if isinstance(loss, float):
            if jumped is None:
                jumped = self._level.leaves(loss)
            if not self._saw_nonfinite and not math.isfinite(loss):
                # Where the NaN lives is only known from a sample; soon it will be everywhere.
                self._saw_nonfinite = True
                self._cadence.burst(1)
        if jumped:
            self._cadence.look_closer()
        if has_ranks and self._cadence.every is None and is_landmark(steps):
            self._cadence.burst(1)


def is_landmark(step: int) -> bool:
    """Whether every rank samples this step, so that ranks can be compared: 8 in each doubling.

    Each rank keeps its own budget and would otherwise sample steps of its own.
    """
    return step % (1 << max(0, step.bit_length() - _LANDMARK_BITS)) == 0
