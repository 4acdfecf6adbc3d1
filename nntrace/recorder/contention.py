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
