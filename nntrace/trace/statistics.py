"""The statistics of a run as matrices: a row for each sampled step, a column for each site.

The cell of every row is worked out once per table, so that a matrix costs one pass over the rows of
its role and not over all rows.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from nntrace.schema import Role
from nntrace.trace import decode
from nntrace.trace.model import FloatArray, IntArray, Site

_CACHED_SERIES = 12  # rules ask for the same few series repeatedly


class Statistics:
    """The rows of `stats`, by step and site.

    Args:
        table: the rows, in any order; of two for the same step and site the later one counts.
        sites: all sites in the order of their ids.

    Attributes:
        steps: the steps that have rows, ascending.
    """

    def __init__(self, table: pa.Table, sites: Sequence[Site]) -> None:
        self._table = table
        self.steps, at = _steps_of_rows(decode.integers(table, "step"))
        places = _places_of_rows(decode.integers(table, "site"), sites)
        # By role: its rows in the table, and the cell of the role's matrix that each row fills.
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
            # Nulls become NaN.
            column = self._table[stat].to_numpy()
            values.reshape(-1)[self._cells[role]] = column[self._rows[role]]
            values.flags.writeable = False
            while len(self._cached) >= _CACHED_SERIES:
                del self._cached[next(iter(self._cached))]
            self._cached[role, stat] = values
        return values


def _steps_of_rows(steps: IntArray) -> tuple[IntArray, IntArray]:
    """The distinct steps in ascending order, and for each row the index of its step there."""
    grows = np.diff(steps, prepend=steps[:1])
    if (grows < 0).any():  # only in a trace that was put together by hand
        distinct, at = np.unique(steps, return_inverse=True)
        return distinct, at
    begins = grows != 0
    at = np.cumsum(begins)
    begins[:1] = True
    return steps[begins], at


def _places_of_rows(ids: IntArray, sites: Sequence[Site]) -> IntArray:
    """For each row the index of its site in `sites`.

    Rows of an unknown site get `len(sites)`. Ids are treated as names, not as sizes: an absurdly
    large one must not cost memory.
    """
    known = np.array([site.id for site in sites], dtype=np.int64)
    if not len(known):
        return np.zeros(len(ids), dtype=np.int64)
    if known[-1] == len(known) - 1 and known[0] == 0:  # consecutive from 0, as a recorder numbers
        return np.where((ids < 0) | (ids >= len(known)), len(known), ids)
    places = np.searchsorted(known, ids)
    unknown = known[np.minimum(places, len(known) - 1)] != ids
    return np.where(unknown, len(known), places)
