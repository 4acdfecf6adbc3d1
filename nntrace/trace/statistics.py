"""The statistics of a run as matrices: a row for each sampled step, a column for each site.

Where every row belongs is worked out once per table, so that a matrix costs one pass over the
rows of its role and not over all of them.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from nntrace.schema import Role
from nntrace.trace import decode
from nntrace.trace.model import FloatArray, IntArray, Site

_CACHED_SERIES = 12  # rules ask for the same few again and again


class Statistics:
    """The rows of `stats`, by step and site.

    Args:
        table: the rows; their order does not matter, of two for one step and site the later counts.
        sites: all sites in the order of their ids.

    Attributes:
        steps: the steps that have rows, ascending.
    """

    def __init__(self, table: pa.Table, sites: Sequence[Site]) -> None:
        self._table = table
        self.steps, at = _steps_of_rows(decode.integers(table, "step"))
        places = _places_of_rows(decode.integers(table, "site"), sites)
        # Of each role: its rows of the table, and the cell of its matrix each of them fills.
        self._widths: dict[Role, int] = {}
        self._rows: dict[Role, IntArray] = {}
        self._cells: dict[Role, IntArray] = {}
        for role in Role:
            mine = [site.role is role for site in sites]
            column_of = np.where([*mine, False], np.cumsum([*mine, False]) - 1, -1)
            rows = np.flatnonzero((column_of >= 0)[places])
            width = sum(mine)
            self._widths[role], self._rows[role] = width, rows
            self._cells[role] = at[rows] * width + column_of[places[rows]]
        self._cached: dict[tuple[Role, str], FloatArray] = {}

    def series(self, role: Role, stat: str) -> FloatArray:
        """A column of the table as [steps, sites of the role]; NaN where there is no row."""
        values = self._cached.get((role, stat))
        if values is None:
            values = np.full((len(self.steps), self._widths[role]), np.nan)
            # Nulls of a column of numbers become NaN.
            column = self._table[stat].to_numpy()
            values.reshape(-1)[self._cells[role]] = column[self._rows[role]]
            values.flags.writeable = False
            while len(self._cached) >= _CACHED_SERIES:
                del self._cached[next(iter(self._cached))]
            self._cached[role, stat] = values
        return values


def _steps_of_rows(steps: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct steps, ascending, and for each row its step's index there."""
    grows = np.diff(steps, prepend=steps[:1])
    if (grows < 0).any():  # rows of a trace put together by hand
        distinct, at = np.unique(steps, return_inverse=True)
        return distinct, at
    begins = grows != 0
    at = np.cumsum(begins)
    begins[:1] = True
    return steps[begins], at


def _places_of_rows(ids: IntArray, sites: Sequence[Site]) -> IntArray:
    """For each row the index of its site in `sites`.

    Ids are names, not sizes: an absurd one must not cost memory. Rows whose site is unknown have
    the index of an extra site behind the last.
    """
    known = np.array([site.id for site in sites], dtype=np.int64)
    if not len(known):
        return np.zeros(len(ids), dtype=np.int64)
    if known[-1] == len(known) - 1 and known[0] == 0:  # all ids from 0 on, as a recorder gives them
        return np.where((ids < 0) | (ids >= len(known)), len(known), ids)
    places = np.searchsorted(known, ids)
    unknown = known[np.minimum(places, len(known) - 1)] != ids
    return np.where(unknown, len(known), places)
