"""A value over the steps, reduced to what a terminal can show without hiding a spike."""

from dataclasses import dataclass

import numpy as np

from nntrace.trace import Trace
from nntrace.trace.decode import floats, recorded
from nntrace.trace.model import FloatArray

# Of each bucket the smallest and the largest point are kept. A plot of 100 cells is 200 braille
# dots wide.
BUCKETS = 200
TREND_POINTS = 60
_LEAST_STEPS_PER_MEAN = 4


@dataclass(frozen=True, slots=True)
class Curve:
    """Points in the order of their steps. All values are finite.

    Attributes:
        trend_steps, trend: means over stretches of steps; empty while there are few steps.
        first_nonfinite_step: the first step with a NaN or infinite value; None if there is none.
        last_step: the last step, whether its value is finite or not; None without any.
    """

    steps: tuple[float, ...] = ()
    values: tuple[float, ...] = ()
    trend_steps: tuple[float, ...] = ()
    trend: tuple[float, ...] = ()
    first_nonfinite_step: int | None = None
    last_step: float | None = None


def step_curve(trace: Trace, column: str, buckets: int = BUCKETS) -> Curve:
    """Return a column of the steps table as a curve over the steps that recorded it."""
    table = trace.table("steps")
    known = recorded(table[column])
    return curve(floats(table, "step")[known], floats(table, column)[known], buckets)


def curve(steps: FloatArray, values: FloatArray, buckets: int = BUCKETS) -> Curve:
    """Return the finite values as a curve that never leaves out a spike."""
    finite = np.isfinite(values)
    bad = np.flatnonzero(~finite)
    steps_kept, kept = downsample(steps[finite], values[finite], buckets)
    trend_steps, trend = means(steps[finite], values[finite], TREND_POINTS)
    return Curve(
        steps=tuple(steps_kept.tolist()),
        values=tuple(kept.tolist()),
        trend_steps=tuple(trend_steps.tolist()),
        trend=tuple(trend.tolist()),
        first_nonfinite_step=int(steps[bad[0]]) if len(bad) else None,
        last_step=float(steps[-1]) if len(steps) else None,
    )


def downsample(x: FloatArray, y: FloatArray, buckets: int) -> tuple[FloatArray, FloatArray]:
    """Keep at most 2·buckets + 2 points: each bucket's minimum and maximum, and both ends."""
    if len(x) <= 2 * buckets:
        return x, y
    starts = np.arange(buckets) * len(x) // buckets
    chosen = {0, len(x) - 1}
    for begin, end in zip(starts, [*starts[1:], len(x)], strict=True):
        part = y[begin:end]
        chosen.update((int(begin + part.argmin()), int(begin + part.argmax())))
    order = sorted(chosen)
    return x[order], y[order]


def means(x: FloatArray, y: FloatArray, points: int) -> tuple[FloatArray, FloatArray]:
    """Return the means of `points` equal stretches; nothing if `x` is too short to smooth."""
    if len(x) < points * _LEAST_STEPS_PER_MEAN:
        return x[:0], y[:0]
    starts = np.arange(points) * len(x) // points
    sizes = np.diff([*starts, len(x)])
    return np.add.reduceat(x, starts) / sizes, np.add.reduceat(y, starts) / sizes
