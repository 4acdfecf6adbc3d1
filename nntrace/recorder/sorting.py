"""Sorts the rows of a block, whichever way is the faster one on this processor.

NumPy's AVX-512 sort keeps up to 512 values in registers. Longer rows it partitions with compressing
stores, which are microcode on AMD's Zen 4 (numpy/x86-simd-sort, issue 6): rows of 4096 take ten
times as long per value as rows of 512. Columnsort makes do with sorts of short rows.
Both ways give the same rows.
"""

from collections.abc import Callable
from functools import cache
from time import thread_time_ns

import numpy as np

from nntrace.recorder.sample import Float32Array

_COLUMNS = 8
_SHORTEST, _LONGEST = 1536, 4096  # of shorter rows NumPy is as fast; longer columns do not fit


def sort_rows(rows: Float32Array) -> None:
    """Sort each row of [m, n] in place; NaN and +inf come last, −inf first."""
    if _SHORTEST <= rows.shape[1] <= _LONGEST and _columnsort_is_faster():
        columnsort(rows)
    else:
        rows.sort(axis=1)


def columnsort(rows: Float32Array) -> None:
    """Sort each row of [m, n] in place by sorting eight columns of n / 8 values four times.

    A column must hold 2 (8 - 1)² = 98 values or more, so that n is at least 784.
    Source: Leighton, Tight bounds on the complexity of parallel sorting, 1985.
    """
    m, n = rows.shape
    height = _COLUMNS * -(-n // _COLUMNS**2)
    padded = np.empty((m, _COLUMNS * height), dtype=rows.dtype)
    padded[:, :n] = rows
    padded[:, n:] = np.nan  # stays at the end
    padded.reshape(m, _COLUMNS, height).sort()
    spread = padded.reshape(m, height, _COLUMNS).swapaxes(1, 2).copy()
    spread.sort()
    padded = spread.swapaxes(1, 2).reshape(m, _COLUMNS * height)
    padded.reshape(m, _COLUMNS, height).sort()
    half = height // 2  # no value is further from its place
    padded[:, half:-half].reshape(m, _COLUMNS - 1, height).sort()
    rows[:] = padded[:, :n]


@cache
def _columnsort_is_faster() -> bool:
    """Tried once in a process, on a few rows."""
    rows = np.sin(np.arange(4 * _LONGEST, dtype=np.float32)).reshape(4, _LONGEST)
    return _least_time(columnsort, rows) < _least_time(np.ndarray.sort, rows)


def _least_time(sort: Callable[[Float32Array], None], rows: Float32Array) -> int:
    """Nanoseconds of this thread's processor time, of three calls: the first one is slower."""
    times = []
    for _ in range(3):
        copy, start = rows.copy(), thread_time_ns()
        sort(copy)
        times.append(thread_time_ns() - start)
    return min(times)
