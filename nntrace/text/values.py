"""Formats values for tables: short, and a dash where a value is unknown."""

from datetime import datetime

UNKNOWN = "–"


def number(value: float | None) -> str:
    """A number with four significant digits; `nan` for NaN, which is a value, too."""
    return UNKNOWN if value is None else f"{value:.4g}"


def percent(share: float | None) -> str:
    """A share of 1 as a percentage."""
    return UNKNOWN if share is None else f"{share:.1%}"


def when(time_ns: int) -> str:
    """Local date and time; a dash for a time that is not recorded or out of range."""
    if time_ns <= 0:
        return UNKNOWN
    try:
        return datetime.fromtimestamp(time_ns / 1e9).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return UNKNOWN


def size(count: int) -> str:
    """A number of bytes in the unit that keeps it short."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.3g} {unit}"
        amount /= 1000
    return f"{amount:.3g} GB"
