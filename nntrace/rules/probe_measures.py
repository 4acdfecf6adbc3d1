"""What the experiments of `nntrace check` measured: how far a batch was fitted, what inputs and
targets were worth, which learning rates were of use. Rules judge by it, reports quote it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from nntrace.experiment import STILL_FALLING
from nntrace.rules.signals import median
from nntrace.schema import EventKind, Role
from nntrace.trace import Trace
from nntrace.trace.model import FloatArray

FITTED: Final = 0.9  # of the way from the first loss to the floor
_HALF_WAY: Final = 0.5
_LAST: Final = 5  # losses that stand for the end
_BLOCKS: Final = 8
_SAME_TARGETS: Final = 0.5  # of their spread: of shuffled targets another sample is read


def told(trace: Trace) -> dict[str, Any]:
    """What the child said of its experiment; what was said last stands."""
    facts: dict[str, Any] = {}
    for event in trace.events_of(EventKind.EXPERIMENT):
        facts |= event.payload
    return facts


def problem(trace: Trace, *others: Trace | None) -> str | None:
    """Why these experiments say nothing about the program, or None."""
    for run in (trace, *others):
        if run is None:
            return "an experiment was not made"
        name = run.experiment.name if run.experiment is not None else "run"
        if reason := told(run).get("problem"):
            return f"{name}: {reason}"
        if not np.isfinite(run.steps.loss).any():
            return f"{name}: no loss was seen"
    if len(set(trace.steps.optimizer)) > 1:
        names = ", ".join(dict.fromkeys(trace.steps.optimizer))
        return f"several optimizers take turns ({names}): there is no one loss"
    return None


def incomparable(trace: Trace, other: Trace) -> str | None:
    """Why the losses of two runs do not measure the same, or None.

    Where the model chooses its own examples (a policy) or computes its own targets (bootstrapping)
    a lower loss is no better fit.
    """
    if np.nanmin(trace.steps.loss) < 0:
        return "the loss becomes negative: how low it is says nothing about the fit"
    theirs = {batch.step: batch for batch in other.batches}
    for batch in trace.batches:
        its = theirs.get(batch.step)
        if its is None or batch.target_mean is None or its.target_mean is None:
            continue
        spread = max(batch.target_std or 0.0, abs(batch.target_mean), 1e-12)
        if abs(batch.target_mean - its.target_mean) > _SAME_TARGETS * spread:
            return f"the targets depend on the model: at step {batch.step} they differ"
    return None


@dataclass(frozen=True, slots=True)
class Fit:
    """How far one batch was fitted.

    Attributes:
        start, last: the loss on it at first and at last.
        floor: the lowest it could be; None where that is not known.
        steps: how many there were.
        share: of the way from `start` to the floor, or to 0.
        accuracy: of the last predictions; NaN where there are no classes.
        falling: whether the loss still fell at the end.
        unmoved: sites of parameters that no step changed.
    """

    start: float
    last: float
    floor: float | None
    steps: int
    share: float
    accuracy: float
    falling: bool
    unmoved: tuple[str, ...]

    @property
    def reached(self) -> bool:
        """Whether the batch is fitted: the loss at its floor, or every prediction right.

        Of a bounded similarity the loss has a floor of its own above 0.
        """
        return self.share >= FITTED or (self.accuracy == 1.0 and self.share >= _HALF_WAY)


def fit(trace: Trace) -> Fit | None:
    """How far the run on one batch came; None without two finite losses."""
    losses = trace.steps.loss
    finite = losses[np.isfinite(losses)]
    if len(finite) < 2 or not np.isfinite(losses[0]):
        return None
    floor = told(trace).get("floor")
    known = isinstance(floor, int | float)
    bottom = float(floor) if isinstance(floor, int | float) else 0.0
    start = float(finite[0])
    last = float(median(finite[-_LAST:])) if np.isfinite(losses[-1]) else float("inf")
    way = start - bottom
    share = (start - last) / way if way > 0 else float("nan")
    planned = trace.experiment.steps if trace.experiment is not None else len(finite)
    quarter = max(min(planned, len(finite)) // 4, 1)
    before, after = finite[-2 * quarter : -quarter], finite[-quarter:]
    fell = float(before.mean() - after.mean()) if len(before) else 0.0
    _, accuracy = trace.scalars.get("accuracy", (np.array([]), np.array([])))
    return Fit(
        start=start,
        last=last,
        floor=bottom if known else None,
        steps=len(losses),
        share=share,
        accuracy=float(accuracy[-1]) if len(accuracy) else float("nan"),
        falling=bool(way > 0 and fell > STILL_FALLING * abs(float(after.mean()) - bottom)),
        unmoved=tuple(_unmoved(trace)),
    )


def _unmoved(trace: Trace) -> Iterator[str]:
    sites = trace.sites_of(Role.UPDATE)
    if not sites or not len(trace.sampled_steps):
        return
    largest = np.nanmax(np.nan_to_num(trace.series(Role.UPDATE, "rms"), nan=0.0), axis=0)
    for site, rms in zip(sites, largest, strict=True):
        if rms == 0.0:
            yield site.path


@dataclass(frozen=True, slots=True)
class Advantage:
    """What the baseline won over the same run with something taken away.

    Attributes:
        baseline, other: mean losses over the second half of the common steps.
        gain: their difference, relative to `other`.
        errors: the difference in its standard errors.
        steps: the common steps.
        identical: whether no loss differs at all.
    """

    baseline: float
    other: float
    gain: float
    errors: float
    steps: int
    identical: bool


def advantage(trace: Trace, other: Trace) -> Advantage | None:
    """Compare losses step by step: seed and batches are the same in both runs."""
    _, mine, its = np.intersect1d(trace.steps.step, other.steps.step, return_indices=True)
    ours, theirs = trace.steps.loss[mine], other.steps.loss[its]
    both = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[both], theirs[both]
    if len(ours) < 2 * _BLOCKS:
        return None
    half = len(ours) // 2
    difference = theirs[half:] - ours[half:]
    blocks = np.array([block.mean() for block in np.array_split(difference, _BLOCKS)])
    error = float(blocks.std(ddof=1) / np.sqrt(_BLOCKS))
    gap = float(difference.mean())
    size = max(abs(float(theirs[half:].mean())), 1e-12)
    return Advantage(
        baseline=float(ours[half:].mean()),
        other=float(theirs[half:].mean()),
        gain=gap / size,
        errors=gap / error if error > 0 else (0.0 if gap == 0 else float(np.sign(gap) * np.inf)),
        steps=len(ours),
        # The first step is made before anything was exchanged.
        identical=bool(np.allclose(ours[1:], theirs[1:], rtol=1e-6, atol=1e-9)),
    )


@dataclass(frozen=True, slots=True)
class Sweep:
    """A learning-rate sweep.

    Attributes:
        rates, losses: the curve; losses are smoothed.
        low, high: the range in which the loss fell; None where none was found.
        steepest: the rate at which it fell most per decade.
        limit: the rate from which it ran away; None when it never did.
        own: the program's own rate, before any warm-up or decay.
    """

    rates: FloatArray
    losses: FloatArray
    low: float | None
    high: float | None
    steepest: float | None
    limit: float | None
    own: float | None


_SMOOTHED: Final = 5
_USEFUL: Final = 0.1  # of the whole fall
_AWAY: Final = 1.0  # times the whole fall, above the start
_BELOW_LOWEST: Final = 3.0  # the loss is lowest only shortly before it runs away
_NOISE: Final = 4.0  # times the noise of the first losses: a fall that is one


def sweep(trace: Trace) -> Sweep | None:
    """Read the curve of the sweep; None when it is too short."""
    rates, losses = trace.steps.lr, trace.steps.loss
    usable = np.isfinite(rates) & (rates > 0)
    rates, losses = rates[usable], losses[usable]
    rate = told(trace).get("rate")
    own = float(rate) if isinstance(rate, int | float) and rate > 0 else None
    finite = np.isfinite(losses)
    if finite.sum() < 4 * _SMOOTHED:
        return None
    limit: float | None = None
    limit_index = int(np.flatnonzero(~finite)[0]) if not finite.all() else len(losses)
    rates, losses = rates[: limit_index + 1], losses[: limit_index + 1]
    smooth = _smoothed(losses[:limit_index])
    head = losses[: max(2 * _SMOOTHED, len(losses) // 6)]
    start = float(median(head))
    noise = float(median(np.abs(head - start))) * 1.4826
    lowest = int(np.argmin(smooth))
    fall = start - float(smooth[lowest])
    if fall <= _NOISE * noise / np.sqrt(_SMOOTHED) or fall <= 0.02 * abs(start):
        return Sweep(rates[: len(smooth)], smooth, None, None, None, None, own)
    away = np.flatnonzero(smooth[lowest:] > start + _AWAY * fall)
    if len(away):
        limit = float(rates[lowest + away[0]])
    else:
        limit = float(rates[limit_index]) if limit_index < len(rates) else None
    useful = int(np.flatnonzero(smooth <= start - _USEFUL * fall)[0])
    slope = np.gradient(smooth[: lowest + 1], np.log10(rates[: lowest + 1])) if lowest else [0.0]
    low = float(rates[useful])
    return Sweep(
        rates=rates[: len(smooth)],
        losses=smooth,
        low=low,
        high=max(float(rates[lowest]) / _BELOW_LOWEST, low),
        steepest=float(rates[int(np.argmin(slope))]),
        limit=limit,
        own=own,
    )


def _smoothed(values: FloatArray) -> FloatArray:
    """A running median: single batches do not count, edges stay where they are."""
    padded = np.pad(values, _SMOOTHED // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _SMOOTHED)
    smooth: FloatArray = np.median(windows, axis=1)
    return smooth
