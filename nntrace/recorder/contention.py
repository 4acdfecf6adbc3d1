"""How long the program wanted to run and had no processor: other work of the machine had it."""

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

    def __init__(self) -> None:
        self._before_ns = starved_ns()

    def share(self, elapsed_ns: int) -> float | None:
        """That share of the time that has passed; None where the system does not say it."""
        now = starved_ns()
        if now is None or self._before_ns is None:
            return None
        return min(1.0, (now - self._before_ns) / max(1, elapsed_ns))
