"""Which units still fire: per unit, not per batch.

A sparse batch is healthy; a unit that was exactly zero in every one of its last rows is dead.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from nntrace.recorder.sample import Float32Array, Layout

# A unit that fires in 1 % of rows is silent for 256 of them with a chance of 8 %.
WINDOW_ROWS: Final = 256


class Liveness:
    """For every site the number of rows since each sampled unit last fired."""

    def __init__(self) -> None:
        self._silent_rows: dict[int, npt.NDArray[np.int64]] = {}
        self._seen_rows: dict[int, int] = {}

    def update(self, site: int, row: Float32Array, layout: Layout) -> float | None:
        """Take in one sampled row; the site's dead fraction, or None while too few rows were seen.

        A non-finite value counts as firing.
        """
        rows = layout.examples * layout.positions
        silent = self._silent_rows.get(site)
        if silent is None or len(silent) != layout.units:
            silent = np.zeros(layout.units, dtype=np.int64)
            self._seen_rows[site] = 0
        zero = row == 0
        if zero.any():
            silent = np.where(zero.reshape(rows, layout.units).all(axis=0), silent + rows, 0)
        else:
            silent.fill(0)
        self._silent_rows[site] = silent
        self._seen_rows[site] += rows
        if self._seen_rows[site] < WINDOW_ROWS:
            return None
        return float(np.count_nonzero(silent >= WINDOW_ROWS) / layout.units)
