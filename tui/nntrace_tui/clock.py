"""The time on the machine that trains: its clock may differ, or be set while it trains."""

import time
from collections.abc import Callable

from nntrace.trace import Trace

Clock = Callable[[], int]


class TrainingClock:
    """The time on the run's machine: by its newest step once one has come, until then by ours.

    So "no step for a minute" is a minute here, whatever either clock says.

    Args:
        now_ns: nanoseconds since the epoch, on this machine.
        elapsed_ns: nanoseconds of a monotonic clock.
    """

    def __init__(self, now_ns: Clock = time.time_ns, elapsed_ns: Clock = time.monotonic_ns) -> None:
        self._now_ns = now_ns
        self._elapsed_ns = elapsed_ns
        self._seen: tuple[int, int] | None = None  # the number of steps, and the time of the last
        self._came_ns: int | None = None

    def read(self, trace: Trace) -> int:
        """Return nanoseconds since the epoch on the run's machine."""
        times = trace.table("steps")["time_ns"]
        newest = (len(times), times[-1].as_py() or 0) if len(times) else None
        if newest != self._seen:
            self._came_ns = None if self._seen is None else self._elapsed_ns()
            self._seen = newest
        if self._came_ns is None or newest is None:
            return self._now_ns()
        return newest[1] + self._elapsed_ns() - self._came_ns
