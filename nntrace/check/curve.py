"""Draws the loss over the learning rate as text."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from nntrace.rules.probes import Sweep

_WIDTH: Final = 64
_HEIGHT: Final = 8
_DOT: Final = "•"
_ROUNDING: Final = 1e-3  # decades by which the first rate may miss its power of ten


def curve(sweep: Sweep) -> Iterator[str]:
    """The lines of a plot: smoothed losses over the rates, the useful range, the script's rate.

    Losses that diverged are drawn at the upper edge.
    """
    decades = np.log10(sweep.rates)
    left, right = float(decades[0]), float(decades[-1])
    if right <= left:
        return
    places = np.linspace(left, right, _WIDTH)
    losses = np.interp(places, decades, sweep.losses)
    low = float(np.min(losses))
    high = max(float(np.median(losses[: _WIDTH // 6])) * 1.05, low + 1e-12)
    rows = np.clip(np.round((losses - low) / (high - low) * (_HEIGHT - 1)), 0, _HEIGHT - 1)
    for row in reversed(range(_HEIGHT)):
        label = f"{high:8.3g}" if row == _HEIGHT - 1 else f"{low:8.3g}" if not row else " " * 8
        dots = "".join(_DOT if rows[column] == row else " " for column in range(_WIDTH))
        yield f"{label} │{dots}".rstrip()
    yield " " * 9 + "└" + _axis(left, right)
    if sweep.low is not None and sweep.high is not None:
        begin, end = (_column(rate, left, right) for rate in (sweep.low, sweep.high))
        yield " " * (10 + begin) + "═" * (end - begin + 1) + " the loss falls"
    if sweep.own is not None:
        mark = "→" if np.log10(sweep.own) > right else "▲"
        yield " " * (10 + _column(sweep.own, left, right)) + f"{mark} the script's {sweep.own:.1e}"


def _axis(left: float, right: float) -> str:
    axis = ["─"] * _WIDTH
    for decade in range(int(np.ceil(left - _ROUNDING)), int(np.floor(right + _ROUNDING)) + 1):
        label = f"1e{decade}"
        at = _column(10.0**decade, left, right)
        if at + len(label) <= _WIDTH:
            axis[at : at + len(label)] = label
    return "".join(axis)


def _column(rate: float, left: float, right: float) -> int:
    share = (float(np.log10(rate)) - left) / (right - left)
    return int(np.clip(round(share * (_WIDTH - 1)), 0, _WIDTH - 1))
