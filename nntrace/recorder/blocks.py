"""Brings rows of equal length together, as many at a time as the processor's cache holds."""

from collections.abc import Iterator, Sequence

import numpy as np

from nntrace.recorder.sample import Float32Array

_BLOCK_ELEMENTS = 1 << 16  # 256 KiB of float32
_SKEW_ELEMENTS = 272  # two arrays whose addresses are a multiple of 4 KiB apart wait for each other


class Workspace:
    """Memory for one block of rows and the same rows in order.

    It serves all blocks of a run, because fresh memory costs a page fault every 4 KiB.
    """

    def __init__(self) -> None:
        self._memory = np.empty(2 * _BLOCK_ELEMENTS + _SKEW_ELEMENTS, dtype=np.float32)

    def blocks(self, rows: Sequence[Float32Array]) -> Iterator[tuple[Float32Array, Float32Array]]:
        """The rows, all of n values, a block [m, n] of them at a time, and the same, each in order.

        Either may be changed, and holds until the next is asked for.
        """
        n = len(rows[0])
        size = max(1, _BLOCK_ELEMENTS // n)
        memory = self._memory
        if 2 * n + _SKEW_ELEMENTS > len(memory):  # given back when it has served
            memory = np.empty(2 * n + _SKEW_ELEMENTS, dtype=np.float32)
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            elements = len(chosen) * n
            block = memory[:elements].reshape(-1, n)
            ordered = memory[-elements:].reshape(-1, n)
            np.concatenate(chosen, out=block.reshape(-1))
            ordered[:] = block
            ordered.sort(axis=1)  # NaN and +inf come last, −inf first
            yield block, ordered
