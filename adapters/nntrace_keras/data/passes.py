"""Passes without gradients: which belong together, and what their inputs look like."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nntrace.recorder import is_landmark
from nntrace_keras.program.sources import Source

_MANY = 64  # passes over the same data; beyond them only some are recorded
ELEMENTS = 4096


class Passes:
    """Numbers the passes of a run: those of one kind over the same data, from one line, are a
    group, in which they count from 0.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, int | None, Source], int] = {}
        self._counts: dict[int, int] = {}

    def next(self, model: str, kind: str, loader: int | None, source: Source) -> tuple[int, int]:
        """Group and number of a pass."""
        if len(self._groups) >= _MANY:
            loader = None  # a program that asks again and again with new arrays: its line tells
        group = self._groups.setdefault((model, kind, loader, source), len(self._groups))
        number = self._counts[group] = self._counts.get(group, -1) + 1
        return group, number


def is_recorded(number: int) -> bool:
    """Whether the pass with this number in its group gets an event."""
    return number < _MANY or is_landmark(number)


def some_of(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Some thousand elements of examples [n, …], spread over them; none of what is no float."""
    if values.dtype.kind != "f" or values.ndim < 2 or not len(values):
        return np.empty(0)
    per_example = max(1, values[0].size)
    rows = values[:: max(1, len(values) * per_example // ELEMENTS)]
    return rows.reshape(-1)[:: max(1, rows.size // ELEMENTS)].astype(np.float64)


def moments(sampled: npt.NDArray[np.float64]) -> dict[str, float]:
    """Of the finite ones."""
    sampled = sampled[np.isfinite(sampled)]
    if not len(sampled):
        return {}
    return {
        "input_mean": float(sampled.mean()),
        "input_std": float(sampled.std()),
        "input_min": float(sampled.min()),
        "input_max": float(sampled.max()),
    }
