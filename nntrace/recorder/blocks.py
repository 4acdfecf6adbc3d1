"""Joins rows of equal length into blocks that fit the processor's cache."""

from collections.abc import Iterator, Sequence

import numpy as np

from nntrace.recorder.sample import Float32Array
from nntrace.recorder.sorting import SKEW_ELEMENTS, RowSorter

_BLOCK_ELEMENTS = 1 << 16  # 256 KiB of float32


class Workspace:
    """Memory for one block of rows and the same rows sorted.

    It serves all blocks of a run, because fresh memory costs a page fault every 4 KiB.
    """

    def __init__(self) -> None:
        self._sorter = RowSorter()
        self._memory = np.empty(2 * _BLOCK_ELEMENTS + SKEW_ELEMENTS, dtype=np.float32)

    def blocks(self, rows: Sequence[Float32Array]) -> Iterator[tuple[Float32Array, Float32Array]]:
        """Yield rows of n values in blocks [m, n], each with a copy of sorted rows, NaN last.

        The caller may change both arrays; they are valid until the next pair is requested.
        """
        n = len(rows[0])
        size = max(1, _BLOCK_ELEMENTS // n)
        memory = self._memory
        if 2 * n + SKEW_ELEMENTS > len(memory):  # too large to keep: released after use
            memory = np.empty(2 * n + SKEW_ELEMENTS, dtype=np.float32)
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            elements = len(chosen) * n
            block = memory[:elements].reshape(-1, n)
            ordered = memory[-elements:].reshape(-1, n)
            np.concatenate(chosen, out=block.reshape(-1))
            ordered[:] = block
            self._sorter.sort(ordered)
            yield block, ordered
