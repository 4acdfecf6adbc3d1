"""Finds dead units: per unit, not per batch.

A sparse batch is healthy; a unit that was exactly zero in all of its last rows is dead. Where the
program rectifies a module's output itself (`F.relu(self.conv(x))`), a unit is dead that was nowhere
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
    """Counts, for every site, the rows since each sampled unit last fired."""

    def __init__(self) -> None:
        self._silent_rows: dict[int, npt.NDArray[np.int64]] = {}
        self._seen_rows: dict[int, int] = {}

    def update(
        self,
        site: int,
        values: Float32Array,
        layout: Layout,
        *,
        is_rectified_later: bool = False,
        all_fire: bool = False,
    ) -> float | None:
        """Take in one sample of a site and return the site's dead fraction.

        None while fewer than `WINDOW_ROWS` rows were seen. A non-finite value counts as firing.

        Args:
            site: the site's id.
            values: its sampled values, rows × units by `layout`.
            layout: their layout.
            is_rectified_later: whether the program rectifies the module's output itself.
            all_fire: whether every value is known to fire.
        """
        rows = layout.examples * layout.positions
        silent = self._silent_rows.get(site)
        if silent is None or len(silent) != layout.units:
            silent = np.zeros(layout.units, dtype=np.int64)
            self._seen_rows[site] = 0
        if all_fire:
            silent.fill(0)
        else:
            is_silent = values <= 0 if is_rectified_later else values == 0
            silent = np.where(is_silent.reshape(rows, layout.units).all(axis=0), silent + rows, 0)
        self._silent_rows[site] = silent
        self._seen_rows[site] += rows
        if self._seen_rows[site] < WINDOW_ROWS:
            return None
        return 0.0 if all_fire else float(np.count_nonzero(silent >= WINDOW_ROWS) / layout.units)


class RectifiedOutside:
    """The modules whose outputs the program rectifies itself, as `graph` events show."""

    def __init__(self) -> None:
        self._takers: defaultdict[Vertex, set[Vertex]] = defaultdict(set)
        self._answers: dict[str, bool] = {}  # cached: asked for every site of every sample
        self._graphs = 0

    def learn(self, payload: Mapping[str, Any]) -> None:
        """Take in one graph; a module whose output any graph uses unrectified is not included."""
        for one, two in edges(payload, self._graphs * MOST_VERTICES):
            self._takers[one].add(two)
        self._graphs += 1
        self._answers.clear()

    def __contains__(self, path: str) -> bool:
        answer = self._answers.get(path)
        if answer is None:
            answer = self._answers[path] = is_rectified_outside(Vertex(path), self._takers)
        return answer
