"""The course of the loss: the series that a rule may judge, and whether it falls."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from nntrace.rules.common.signals import median, trend_z
from nntrace.rules.common.trials import trial_and_error
from nntrace.rules.finding import Skipped, too_few
from nntrace.trace import Trace
from nntrace.trace.decode import recorded
from nntrace.trace.model import FloatArray, IntArray

_SAME_WAY: Final = 0.9  # cosine of successive gradients above which nothing turns them around
_UNDER_WAY: Final = 0.8  # of the first loss: below that, something was learned
_LEAST_LOSSES: Final = 20
_BOTTOMLESS: Final = 1e6  # times its first size: no loss with a lowest value falls as far below 0
_ERRORS: Final = 4.0  # standard errors from which a trend is certain
_LIKELY: Final = 1.645  # standard errors that chance alone reaches in one case of twenty
_CERTAIN: Final = 100  # losses that show beyond doubt whether they fall; fewer may well not


@dataclass(frozen=True, slots=True)
class LossSeries:
    """The finite losses in order of steps.

    Attributes:
        nonfinite_from: the first step whose loss is NaN or infinite, or None.
        optimizers: how many take turns, each with its own loss; if more than one, these are mixed.
        trials: why the loss says little as the program learns by trial and error; else empty.
    """

    step: IntArray
    value: FloatArray
    nonfinite_from: int | None = None
    optimizers: int = 1
    trials: str = ""

    def __len__(self) -> int:
        return len(self.step)

    @property
    def span(self) -> tuple[int, int]:
        """The first and the last step."""
        return (int(self.step[0]), int(self.step[-1])) if len(self) else (0, 0)

    @property
    def start(self) -> float:
        """The level at the start: the median of the first tenth, ten losses at most."""
        return median(self.value[: max(1, min(10, len(self) // 10))])

    @property
    def end(self) -> float:
        """The level at the end: the median of the last fifth."""
        return median(self.value[-max(1, len(self) // 5) :])

    @property
    def second_half(self) -> "LossSeries":
        """The losses of the second half of the steps, however densely these were sampled."""
        half = 2 * self.step >= sum(self.span)
        return replace(self, step=self.step[half], value=self.value[half])


def loss_series(trace: Trace) -> LossSeries:
    """The loss of every optimizer step that has one.

    If training has phases, one optimizer after another, only those of the last phase. If steps add
    up different numbers of micro-batches, and their sums go with these, the loss of one of them.
    """
    steps = trace.steps
    known = recorded(trace.table("steps")["loss"])
    usable = np.flatnonzero(np.isfinite(steps.loss))
    turns, optimizers = np.empty(0, dtype=np.int64), 1
    if len(set(steps.optimizer)) > 1:
        names = np.array([steps.optimizer[index] for index in usable], dtype=object)
        turns = np.flatnonzero(names[1:] != names[:-1]) + 1
        optimizers = max(1, len(set(names.tolist())))
    if len(turns) == optimizers - 1:
        usable = usable[int(turns[-1]) if len(turns) else 0 :]
        optimizers = 1
    broken = steps.step[known & ~np.isfinite(steps.loss)]
    return LossSeries(
        steps.step[usable],
        _comparable(steps.loss[usable], steps.backwards[usable]),
        int(broken[0]) if len(broken) else None,
        optimizers,
        trial_and_error(trace),
    )


def _comparable(losses: FloatArray, backwards: FloatArray) -> FloatArray:
    """The losses, or those of one backward pass where that number moves them more than training."""
    if not (losses > 0.0).all() or not (backwards > 0.0).all():
        return losses
    changes = np.flatnonzero(np.diff(backwards))
    each = losses / backwards
    jumps = (np.abs(np.diff(np.log(values)))[changes] for values in (losses, each))
    summed, single = (median(jump) for jump in jumps)
    return each if len(changes) and single < summed else losses


def unjudgeable(series: LossSeries, least: int) -> Skipped | None:
    """The reason why the course of this loss cannot be judged, or None."""
    if series.optimizers > 1:
        return Skipped("several optimizers step on losses of their own, as in a GAN")
    if len(series) < least:
        return too_few(f"needs {least} finite losses, has {len(series)}")
    if (series.value < 0.0).any():
        return Skipped("the loss takes negative values, so the value it should reach is not known")
    return Skipped(series.trials) if series.trials else None


def steps_at_full_rate(trace: Trace) -> int:
    """The number of optimizer steps since the learning rate first reached half its maximum.

    A model must not be blamed for what a warm-up has not let it learn yet. All steps if no learning
    rate is known. If training has phases, only the last one counts, as for its loss.
    """
    rates = trace.steps.lr[trace.steps.step >= loss_series(trace).span[0]]
    known = np.isfinite(rates)
    if not known.any():
        return len(rates)
    highest = float(rates[known].max())
    reached = np.flatnonzero(known & (rates >= 0.5 * highest))
    return len(rates) - int(reached[0]) if len(reached) else len(rates)


def remaining_loss(trace: Trace) -> float:
    """The share of the first loss that is left: 1 without progress, 0 if all of it is gone.

    NaN if it is unknown: there is no loss, one ended as NaN, or several optimizers take turns.
    """
    series = loss_series(trace)
    if len(series) < 2 or series.nonfinite_from is not None or series.optimizers > 1:
        return float("nan")
    start = series.start
    return 1 - (start - series.end) / abs(start) if start else float("nan")


def is_still_learning(trace: Trace) -> bool:
    """Whether the loss has fallen by a fifth and falls steadily in its second half.

    Where that half has too few steps to be certain, the loss must fall over the whole run beyond
    doubt, and likely in the second half. False if the course says nothing.
    """
    if not remaining_loss(trace) <= _UNDER_WAY:
        return False
    series = loss_series(trace)
    late = series.second_half.value
    if len(late) >= _CERTAIN or not trend_z(series.value) < -_ERRORS:
        return falls_steadily(trace)
    return trend_z(late) < -_LIKELY


def falls_steadily(trace: Trace) -> bool:
    """Whether the loss falls in the second half of the run, beyond doubt.

    False if the course of the loss says nothing.
    """
    series = loss_series(trace)
    if unjudgeable(series, 2) is not None:
        return False
    return trend_z(series.second_half.value) < -_ERRORS


def late_agreement(trace: Trace) -> float:
    """The median cosine of successive gradients in the second half of the run."""
    cosine = trace.steps.gradient_cosine
    return median(cosine[len(cosine) // 2 :])


def goes_uphill(trace: Trace) -> bool:
    """Whether the loss rises while successive gradients point the same way.

    If steps were too long, they would overshoot and gradients would turn around: so these steps
    lead uphill.
    """
    series = loss_series(trace)
    if unjudgeable(series, 2) is not None or not trend_z(series.value) > _ERRORS:
        return False
    return late_agreement(trace) > _SAME_WAY


def falls_without_end(trace: Trace, faster: float) -> bool:
    """Whether the loss falls below zero and goes on falling, so that it has no lowest value.

    In the last quarter of the run it must fall at least `faster` times as much as in the second, or
    lie a million times as far below zero as it began above or below.
    """
    series = loss_series(trace)
    if len(series) < _LEAST_LOSSES:
        return False
    levels = [median(part) for part in np.array_split(series.value, 4)]
    falls = np.diff(levels)
    start = abs(series.start) + 1.0
    fast = falls[-1] <= faster * falls[0] or levels[-1] < -_BOTTOMLESS * start
    return bool(levels[-1] < 0.0 and (falls < 0.0).all() and fast)


def has_fallen(trace: Trace) -> bool:
    """Whether the loss, whatever its floor, falls over the run beyond doubt.

    False if several optimizers take turns, or if it ended as NaN.
    """
    series = loss_series(trace)
    if series.nonfinite_from is not None or series.optimizers > 1:
        return False
    return trend_z(series.value) < -_ERRORS
