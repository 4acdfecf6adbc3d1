"""When a model's loss is so small that the model may see what it is to predict."""

from typing import Final

FEWEST_TARGETS: Final = 8
MOST_PREDICTIONS: Final = 1 << 25  # elements that may be computed a second time
_SMALL: Final = 0.25  # of the first loss


class SmallLoss:
    """Waits, once in a run, until a loss is a small part of the first one."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._is_over = False

    def is_reached(self, loss: float) -> bool:
        """Whether this is the first loss that is so small; NaN is not."""
        if self._is_over:
            return False
        self._first = loss if self._first is None else self._first
        self._is_over = loss <= _SMALL * self._first
        return self._is_over
