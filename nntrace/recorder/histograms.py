"""Sparse histograms of sampled values by sign and power of two."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nntrace.recorder.sample import Float32Array

_EXPONENT_BITS, _EXPONENT_SHIFT = 9, 23  # of a float32, with its sign


class Histograms(NamedTuple):
    """Sparse histograms, one after the other: how many bins each has, their edges and counts."""

    lengths: npt.NDArray[np.int64]
    edges: Float32Array
    counts: npt.NDArray[np.int64]


def signed_log2_histograms(rows: Sequence[Float32Array]) -> Histograms:
    """The histogram of each row, which is contiguous; edges ascend.

    A positive edge e stands for [e, 2e), a negative one for (2e, e], 0 for zero and subnormal
    numbers, ±inf for non-finite ones. The bin is the sign and exponent of the float32 itself.
    """
    counts = np.empty((len(rows), 1 << _EXPONENT_BITS), dtype=np.int64)
    for row, into in zip(rows, counts, strict=True):
        bins = row.view(np.uint32) >> _EXPONENT_SHIFT
        into[:] = np.bincount(bins, minlength=len(into))
    negative_zero = counts.shape[1] // 2
    counts[:, 0] += counts[:, negative_zero]
    counts[:, negative_zero] = 0
    edges = (np.arange(counts.shape[1], dtype=np.uint32) << _EXPONENT_SHIFT).view(np.float32)
    ascending = np.argsort(edges)
    counts = counts[:, ascending]
    of, present = np.nonzero(counts)
    lengths = np.bincount(of, minlength=len(rows))
    return Histograms(lengths, edges[ascending][present], counts[of, present])
