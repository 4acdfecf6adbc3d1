"""How long the program wanted to run and had no processor: other work of the machine had it."""

import time
from collections.abc import Callable
from pathlib import Path

_SCHEDULED = Path("/proc/self/schedstat")  # of the main thread: ran, waited, and how often


def starved_ns() -> int | None:
    """Time the main thread was ready to run and had to wait, since the process began; None where
    the system does not say it (all but Linux).
    """
    try:
        return int(_SCHEDULED.read_bytes().split()[1])
    except (OSError, ValueError, IndexError):
        return None


class Contention:
    """The share of the time from its construction on in which other work had the processor."""

    def __init__(
        self,
        clock: Callable[[], int] = time.perf_counter_ns,
        starved: Callable[[], int | None] = starved_ns,
    ) -> None:
        self._clock = clock
        self._starved = starved
        self._before_ns = (clock(), starved())

    def share(self) -> float | None:
        """That share of the time that has passed; None where the system does not say it."""
        began, before = self._before_ns
        now = self._starved()
        if now is None or before is None:
            return None
        return min(1.0, (now - before) / max(1, self._clock() - began))
