"""Measures how long the program was ready to run while other work had the processor."""

import time
from collections.abc import Callable
from pathlib import Path

_SCHEDULED = Path("/proc/self/schedstat")  # of the main thread: ns run, ns waited, time slices


def starved_ns() -> int | None:
    """The time the main thread has waited for a processor since the process began.

    None where the system does not report it (all but Linux).
    """
    try:
        return int(_SCHEDULED.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None


class Contention:
    """The share of the time since construction in which the program waited for a processor."""

    def __init__(
        self,
        clock: Callable[[], int] = time.perf_counter_ns,
        starved: Callable[[], int | None] = starved_ns,
    ) -> None:
        self._clock = clock
        self._starved = starved
        self._before_ns = (clock(), starved())

    def share(self) -> float | None:
        """The share of elapsed time in which other work had the processor; None if unknown."""
        began_ns, before_ns = self._before_ns
        starved = self._starved()
        if starved is None or before_ns is None:
            return None
        return min(1.0, (starved - before_ns) / max(1, self._clock() - began_ns))
