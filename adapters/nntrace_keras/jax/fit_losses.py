"""The loss of each step of `fit`, from the sums that Keras keeps over an epoch.

Values are fetched by the writer: until then they may still be computed.
"""

from collections.abc import Callable
from typing import Any

import keras

Later = Callable[[], float]


class FitLosses:
    """Follows the mean loss that Keras keeps."""

    def __init__(self) -> None:
        self._totals: tuple[Any, Any] = (0.0, 0.0)

    def reset(self) -> None:
        """Keras has reset its metrics."""
        self._totals = (0.0, 0.0)

    def since_last(self, model: Any) -> tuple[Later, Any] | None:
        """The mean loss since the last step, and Keras' sum of losses; None if Keras keeps none.

        The sums are copied, since the next step takes them over.
        """
        tracker = getattr(model, "_loss_tracker", None)
        kept = {
            id(variable): value
            for variable, value in zip(
                model.metrics_variables, model._jax_state["metrics_variables"], strict=False
            )
        }
        if tracker is None or id(tracker.total) not in kept:
            return None
        now = tuple(keras.ops.copy(kept[id(part)]) for part in (tracker.total, tracker.count))
        then, self._totals = self._totals, now

        def fetched() -> float:
            total, count = (float(one) - float(other) for one, other in zip(now, then, strict=True))
            return total / count if count else float("nan")

        return fetched, now[0]


class Accumulation:
    """Calls of the optimizer that only gather gradients, until it takes a step of them all.

    Attributes:
        calls: how many the optimizer has had.
    """

    def __init__(self) -> None:
        self.calls = 0
        self._gathered: list[tuple[Later | None, int]] = []

    def add(
        self, calls: int, loss: Later | None, examples: int | None, gathers: int
    ) -> tuple[int, Later | None, int | None]:
        """Note calls; return how many steps they made, and the loss and examples of the last.

        Args:
            calls: how many.
            loss: their mean loss.
            examples: of one of them.
            gathers: the number of calls that make a step.
        """
        self.calls += calls
        self._gathered.append((loss, examples or 0))
        steps = self.calls // gathers - (self.calls - calls) // gathers
        if not steps:
            return 0, None, None
        gathered, self._gathered = self._gathered, []
        losses = [one for one, _ in gathered if one is not None]
        size = sum(size for _, size in gathered) or None
        if len(losses) < len(gathered):
            return steps, None, size
        return steps, lambda: sum(one() for one in losses) / len(losses), size
