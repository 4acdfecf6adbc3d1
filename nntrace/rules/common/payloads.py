"""Reads values from an event's payload, which may hold anything: a wrong type counts as missing."""

import math
from collections.abc import Mapping
from typing import Any

from nntrace.rules.finding import Location


def number(payload: Mapping[str, Any], key: str) -> float | None:
    """A finite number; None for anything else."""
    value = payload.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return float(value) if math.isfinite(value) else None


def count(payload: Mapping[str, Any], key: str) -> int:
    """A positive whole number; 0 for anything else."""
    return whole(payload, key) or 0


def whole(payload: Mapping[str, Any], key: str) -> int | None:
    """A whole number from 0 on; None for anything else."""
    value = payload.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def flag(payload: Mapping[str, Any], key: str) -> bool | None:
    """True or false; None for anything else."""
    value = payload.get(key)
    return value if isinstance(value, bool) else None


def text(payload: Mapping[str, Any], key: str) -> str:
    """A string; empty for anything else."""
    value = payload.get(key)
    return value if isinstance(value, str) else ""


def items(payload: Mapping[str, Any], key: str) -> list[Any]:
    """The items of a list; empty for anything else."""
    value = payload.get(key)
    return value if isinstance(value, list) else []


def place(payload: Mapping[str, Any]) -> Location | None:
    """The line of the user's code that the payload names; None if it names none."""
    file, line = text(payload, "file"), count(payload, "line")
    return Location(file, line, text(payload, "source") or None) if file and line else None
