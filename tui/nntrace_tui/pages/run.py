"""The header: which run this is, how it is doing, and what tracing it costs.

Its cost does not grow with the length of the run, except for one sum while the run goes on.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from nntrace.schema import RunStatus
from nntrace.trace import Trace
from nntrace.trace.decode import floats

_RATE_WINDOW_STEPS = 100


@dataclass(frozen=True, slots=True)
class Run:
    """The facts in the run's header; None where nothing was recorded yet.

    `overhead` is nntrace's measured share of the elapsed time. `steps_per_second` is the speed over
    the last steps while the run goes on, and over the whole run once it has ended.
    `seconds_since_step` is None once the run has ended.
    """

    name: str
    status: RunStatus
    error: str | None
    rank: int
    rank_numbers: tuple[int, ...]
    step: int | None
    steps_per_second: float | None
    elapsed_seconds: float
    seconds_since_step: float | None
    loss: float | None
    lr: float | None
    overhead: float | None

    @property
    def has_ended(self) -> bool:
        """Whether the run is over, so that no more rows will come."""
        return self.status is not RunStatus.RUNNING


def run_header(trace: Trace, now_ns: int) -> Run:
    """Return the facts of the run at `now_ns` (nanoseconds since the epoch)."""
    manifest, steps = trace.manifest, trace.table("steps")
    status = trace.status
    last_step_ns = _last(steps, "time_ns")
    running = status is RunStatus.RUNNING
    ended_ns = now_ns if running else manifest.ended_ns or last_step_ns or manifest.started_ns
    number = _last(steps, "step")
    return Run(
        name=manifest.name,
        status=status,
        error=manifest.error,
        rank=trace.rank,
        rank_numbers=trace.ranks,
        step=None if number is None else int(number),
        steps_per_second=_rate(steps, _RATE_WINDOW_STEPS if running else len(steps)),
        elapsed_seconds=max(0.0, (ended_ns - manifest.started_ns) / 1e9),
        seconds_since_step=(
            max(0.0, (now_ns - last_step_ns) / 1e9) if running and last_step_ns else None
        ),
        loss=_last(steps, "loss"),
        lr=_last(steps, "lr"),
        overhead=trace.overhead,
    )


def _last(table: pa.Table, column: str) -> float | None:
    """Return the last recorded value; only a limited number of nulls at the end is skipped."""
    values = table[column].slice(max(0, len(table) - _RATE_WINDOW_STEPS)).to_pylist()
    return next((value for value in reversed(values) if value is not None), None)


def _rate(steps: pa.Table, window: int) -> float | None:
    """Return steps per second over the last `window` rows; a step without a row counts too."""
    part = steps.slice(max(0, len(steps) - window))
    known = np.flatnonzero(~np.isnan(floats(part, "time_ns")))
    if len(known) < 2:
        return None
    first, last = int(known[0]), int(known[-1])
    taken, passed_ns = (
        part[name][last].as_py() - part[name][first].as_py() for name in ("step", "time_ns")
    )
    return taken / passed_ns * 1e9 if passed_ns > 0 else None
