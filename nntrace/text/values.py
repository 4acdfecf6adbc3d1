"""How values look in tables: short, and a dash where nothing is known."""

import math
from datetime import datetime

UNKNOWN = "–"


def number(value: float | None) -> str:
    """Four significant digits."""
    return UNKNOWN if value is None or math.isnan(value) else f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share as a percentage."""
    return UNKNOWN if share is None else f"{share:.1%}"


def when(time_ns: int) -> str:
    """Local date and time; a time that was not recorded, or that no calendar has, is unknown."""
    if time_ns <= 0:
        return UNKNOWN
    try:
        return datetime.fromtimestamp(time_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return UNKNOWN


def size(count: int) -> str:
    """Bytes in the unit that keeps it short."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"
