"""Which units still fire: per unit, not per batch.

A sparse batch is healthy; a unit that was exactly zero in every one of its last rows is dead. Where
the program rectifies a module's output itself (`F.relu(self.conv(x))`), it is one that was nowhere
above zero.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nntrace.dataflow import MOST_VERTICES, Vertex, edges, is_rectified_outside
from nntrace.recorder.sample import Float32Array, Layout

# A unit that fires in 1 % of rows is silent for 256 of them with a chance of 8 %.
WINDOW_ROWS: Final = 256


class Liveness:
    """For every site the number of rows since each sampled unit last fired."""

    def __init__(self) -> None:
        self._silent_rows: dict[int, npt.NDArray[np.int64]] = {}
        self._seen_rows: dict[int, int] = {}

    def update(
        self,
        site: int,
        row: Float32Array,
        layout: Layout,
        *,
        is_rectified_later: bool = False,
        all_fire: bool = False,
    ) -> float | None:
        """Take in one sampled row; the site's dead fraction, or None while too few rows were seen.

        A non-finite value counts as firing. `all_fire` where it is known that every value does.
        """
        rows = layout.examples * layout.positions
        silent = self._silent_rows.get(site)
        if silent is None or len(silent) != layout.units:
            silent = np.zeros(layout.units, dtype=np.int64)
            self._seen_rows[site] = 0
        if all_fire:
            silent.fill(0)
        else:
            zero = row <= 0 if is_rectified_later else row == 0
            silent = np.where(zero.reshape(rows, layout.units).all(axis=0), silent + rows, 0)
        self._silent_rows[site] = silent
        self._seen_rows[site] += rows
        if self._seen_rows[site] < WINDOW_ROWS:
            return None
        return 0.0 if all_fire else float(np.count_nonzero(silent >= WINDOW_ROWS) / layout.units)


class RectifiedOutside:
    """The modules whose outputs the program rectifies itself, as `graph` events tell them."""

    def __init__(self) -> None:
        self._takers: defaultdict[Vertex, set[Vertex]] = defaultdict(set)
        self._answers: dict[str, bool] = {}  # asked for every site of every sample
        self._graphs = 0

    def learn(self, payload: Mapping[str, Any]) -> None:
        """Take in one graph; what any of them uses unrectified is not of them."""
        for one, two in edges(payload, self._graphs * MOST_VERTICES):
            self._takers[one].add(two)
        self._graphs += 1
        self._answers.clear()

    def __contains__(self, path: str) -> bool:
        answer = self._answers.get(path)
        if answer is None:
            answer = self._answers[path] = is_rectified_outside(Vertex(path), self._takers)
        return answer
