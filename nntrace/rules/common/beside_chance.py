"""The run's loss function beside chance: what it would score without its input."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from nntrace.rules.common.chance import (
    BINARY,
    CROSS_ENTROPY,
    SQUARED_ERROR,
    Chance,
    chance_losses,
    loss_functions,
)
from nntrace.rules.common.framework import speaks_keras
from nntrace.rules.common.loss_course import LossSeries, loss_series
from nntrace.schema import EventKind
from nntrace.trace import Batch, Trace


@dataclass(frozen=True)
class BesideChance:
    """A run's only loss function, its values, and the losses of predictors that ignore the input.

    Everything is computed when it is first asked for.

    Attributes:
        trace: the run.
        batches: those that count, of all training or of its last phase.
    """

    trace: Trace
    batches: tuple[Batch, ...]

    @cached_property
    def _comparable(self) -> tuple[str, str]:
        return comparable_function(self.trace, self.batches)

    @property
    def function(self) -> str:
        """The loss function; empty if there are several, or none that is known."""
        return self._comparable[0]

    @property
    def unknown(self) -> str:
        """The reason why its values cannot be compared with chance; empty if they can."""
        return self._comparable[1]

    @cached_property
    def series(self) -> LossSeries:
        """The function's own values (`function_loss`)."""
        return function_loss(self.trace, self.batches)

    @cached_property
    def chances(self) -> tuple[Chance, ...]:
        """What its mean over a batch comes to if the input is ignored; empty if that is unknown."""
        return chance_losses(self.function, self.batches)

    @property
    def lowest(self) -> float | None:
        """The lowest loss without the input; None if the values cannot be compared with it."""
        return min((c.value for c in self.chances), default=None) if not self.unknown else None


def comparable_function(trace: Trace, batches: Iterable[Batch]) -> tuple[str, str]:
    """The run's only loss function, and the reason why it cannot be compared with chance, or ""."""
    functions = loss_functions(batches)
    if len(functions) != 1:
        called = ", ".join(functions)
        return "", f"several loss functions: {called}" if called else "no known loss function"
    function = functions[0]
    if function not in CROSS_ENTROPY | BINARY | SQUARED_ERROR:
        return function, f"the chance value of `{function}` is not known"
    calls = [event.payload for event in trace.events_of(EventKind.LOSS_CALL)]
    reductions = {call.get("reduction") for call in calls if call.get("function") == function}
    if reductions - {None, "mean"}:
        return function, f"`{function}` does not average over the batch"
    # PyTorch divides the weighted sum of a cross-entropy by the weights, Keras by the examples.
    if speaks_keras(trace) and any(call.get("weighted") for call in calls):
        return function, f"`{function}` weights its examples"
    return function, ""


def function_loss(trace: Trace, batches: Iterable[Batch]) -> LossSeries:
    """The loss function's own values: of every step, if backward was called on them.

    Otherwise (scaled, summed with penalties, accumulated) of the sampled steps only. If the
    function's own values are not known at all, the recorded losses. Steps of optimizers that never
    step on the function are left out: the loss of an actor is not its critic's.
    """
    known = {
        batch.step: batch.loss_value
        for batch in batches
        if batch.loss_value is not None and np.isfinite(batch.loss_value)
    }
    every = loss_series(trace)
    if not known:
        return every
    every = _of_optimizers(trace, every, known)
    common = [i for i, step in enumerate(every.step) if int(step) in known]
    if common:
        own = np.array([known[int(step)] for step in every.step[common]])
        same = np.isclose(every.value[common], own, rtol=0.01, atol=1e-6)
        if same.mean() >= 0.9:
            return every
    steps = sorted(known)
    return LossSeries(
        np.array(steps, dtype=np.int64),
        np.array([known[step] for step in steps], dtype=np.float64),
        every.nonfinite_from,
        every.optimizers,
    )


def _of_optimizers(trace: Trace, every: LossSeries, known: Container[int]) -> LossSeries:
    """The losses of the optimizers that made the known steps."""
    if every.optimizers < 2:
        return every
    names = dict(zip(trace.steps.step.tolist(), trace.steps.optimizer, strict=True))
    users = {name for step, name in names.items() if step in known}
    own = [names[step] in users for step in every.step.tolist()]
    return replace(every, step=every.step[own], value=every.value[own])
