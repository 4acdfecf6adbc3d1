"""Levels of many rows over time, reduced to at most `COLUMNS` columns without hiding an outlier.

Each column is a bucket of sampled steps and keeps the level farthest from 0.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from nntrace.trace.model import FloatArray, IntArray

COLUMNS: Final = 240  # two per cell of a wide terminal


@dataclass(frozen=True, slots=True, eq=False)
class Heat:
    """Levels, [rows, columns]: NaN where nothing was recorded, infinite where not finite.

    `steps` holds the last sampled step of each column.
    """

    levels: FloatArray
    steps: IntArray

    @property
    def columns(self) -> int:
        """The number of columns."""
        return int(self.levels.shape[1])


def heat(levels: FloatArray, steps: IntArray, columns: int = COLUMNS) -> Heat:
    """Reduce levels of [sampled steps, rows] to a `Heat`."""
    count = len(steps)
    if count <= columns:
        return Heat(levels.T, steps)
    starts = np.arange(columns) * count // columns
    ends = np.append(starts[1:], count) - 1
    return Heat(_farthest(levels, starts).T, steps[ends])


def squeeze(levels: FloatArray, columns: int) -> FloatArray:
    """Reduce one row's levels to that many columns; each keeps its level farthest from 0."""
    count = len(levels)
    if count <= columns or columns <= 0:
        return levels[: max(0, columns)]
    starts = np.arange(columns) * count // columns
    return _farthest(levels[:, None], starts).ravel()


def worst_of(levels: FloatArray) -> FloatArray:
    """Return the level farthest from 0 in each column, over all rows: what a folded group shows."""
    if not len(levels):
        return np.full(levels.shape[1], np.nan)
    worst: FloatArray = _farthest(levels, np.zeros(1, dtype=np.int64))[0]
    return worst


def _farthest(levels: FloatArray, starts: IntArray) -> FloatArray:
    high: FloatArray = np.fmax.reduceat(levels, starts, axis=0)
    low: FloatArray = np.fmin.reduceat(levels, starts, axis=0)
    chosen: FloatArray = np.where(np.abs(low) > high, low, high)
    return chosen
