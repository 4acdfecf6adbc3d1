"""Passes without gradients: how they are grouped, and which elements of their inputs are read."""

from typing import Any

import numpy as np
import numpy.typing as npt

from nntrace_keras.program.sources import Source

_MOST_GROUPS = 64  # of more, only those of other lines are new
ELEMENTS = 4096  # of inputs that are looked at


class Passes:
    """Numbers the passes of a run.

    Passes of one kind over the same data, from one line, form a group, and are counted from 0 in
    it.
    """

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, int | None, Source], int] = {}
        self._counts: dict[int, int] = {}

    def next(self, model: str, kind: str, loader: int | None, source: Source) -> tuple[int, int]:
        """The group of a pass, and the pass's number in it."""
        if len(self._groups) >= _MOST_GROUPS:
            loader = None  # the program evaluates new arrays each time: group by its line
        group = self._groups.setdefault((model, kind, loader, source), len(self._groups))
        number = self._counts[group] = self._counts.get(group, -1) + 1
        return group, number


def some_of(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Some thousand elements spread over examples [n, …]; empty unless they are floats."""
    if values.dtype.kind != "f" or values.ndim < 2 or not len(values):
        return np.empty(0)
    per_example = max(1, values[0].size)
    rows = values[:: max(1, len(values) * per_example // ELEMENTS)]
    return rows.reshape(-1)[:: max(1, rows.size // ELEMENTS)].astype(np.float64)
