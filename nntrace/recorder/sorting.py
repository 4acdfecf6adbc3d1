"""Sorts the rows of a block, whichever way is the faster one on this processor.

NumPy's AVX-512 sort keeps up to 512 values in registers. Longer rows it partitions with compressing
stores, which are microcode on AMD's Zen 4 (numpy/x86-simd-sort, issue 6): rows of 4096 take ten
times as long per value as rows of 512. Columnsort makes do with sorts of short rows.
Both ways give the same rows.
"""

from collections.abc import Callable
from functools import cache, partial
from time import thread_time_ns

import numpy as np

from nntrace.recorder.sample import Float32Array

_COLUMNS = 8
SKEW_ELEMENTS = 272  # arrays a multiple of 4 KiB apart slow each other down in the cache
_SHORTEST, _LONGEST = 1536, 4096  # of shorter rows NumPy is as fast; longer columns do not fit


class RowSorter:
    """Sorts blocks of rows; keeps memory for that, as fresh memory costs a page fault per 4 KiB."""

    def __init__(self) -> None:
        self._spare = np.empty(0, dtype=np.float32)

    def sort(self, rows: Float32Array) -> None:
        """Sort each row of [m, n] in place; NaN and +inf come last, −inf first."""
        if _SHORTEST <= rows.shape[1] <= _LONGEST and _columnsort_is_faster():
            size = spare_size(rows)
            if size > len(self._spare):
                self._spare = np.empty(size, dtype=np.float32)
            columnsort(rows, self._spare)
        else:
            rows.sort(axis=1)


def spare_size(rows: Float32Array) -> int:
    """How many elements of memory `columnsort` needs beside rows [m, n]."""
    return 2 * len(rows) * _COLUMNS * _height(rows) + SKEW_ELEMENTS


def columnsort(rows: Float32Array, spare: Float32Array) -> None:
    """Sort each row of [m, n] in place by sorting eight columns of n / 8 values four times.

    A column must hold 2 (8 - 1)² = 98 values or more, so that n is at least 784.
    Source: Leighton, Tight bounds on the complexity of parallel sorting, 1985.
    """
    (m, n), height = rows.shape, _height(rows)
    size = m * _COLUMNS * height
    padded, spread = spare[:size].reshape(m, -1), spare[-size:].reshape(m, _COLUMNS, height)
    columns, across = padded.reshape(spread.shape), padded.reshape(m, height, _COLUMNS)
    padded[:, :n] = rows
    padded[:, n:] = np.nan  # stays at the end
    columns.sort()
    spread[:] = across.swapaxes(1, 2)
    spread.sort()
    across[:] = spread.swapaxes(1, 2)
    columns.sort()
    half = height // 2  # no value is further from its place
    padded[:, half:-half].reshape(m, _COLUMNS - 1, height).sort()
    rows[:] = padded[:, :n]


def _height(rows: Float32Array) -> int:
    """The values of a column: a multiple of the number of columns."""
    length: int = rows.shape[1]
    return _COLUMNS * -(-length // _COLUMNS**2)


@cache
def _columnsort_is_faster() -> bool:
    """Tried once in a process, on a few rows."""
    rows = np.sin(np.arange(4 * _LONGEST, dtype=np.float32)).reshape(4, _LONGEST)
    by_columns = partial(columnsort, spare=np.empty(spare_size(rows), dtype=np.float32))
    return _least_time(by_columns, rows) < _least_time(np.ndarray.sort, rows)


def _least_time(sort: Callable[[Float32Array], None], rows: Float32Array) -> int:
    """Nanoseconds of this thread's processor time, of three calls: the first one is slower."""
    times = []
    for _ in range(3):
        copy, start = rows.copy(), thread_time_ns()
        sort(copy)
        times.append(thread_time_ns() - start)
    return min(times)
