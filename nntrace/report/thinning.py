"""Thins series for the screen, keeping the extremes of every part."""

import numpy as np
import numpy.typing as npt

from nntrace.trace.model import FloatArray, IntArray


def min_max(values: FloatArray, points: int) -> IntArray:
    """The ascending indices of at most `points` values [n]: the lowest and highest of every part.

    Non-finite values are left out; the first and the last finite value are always included.
    """
    usable = np.flatnonzero(np.isfinite(values))
    if len(usable) <= points:
        return usable
    kept: set[int] = {int(usable[0]), int(usable[-1])}
    for part in np.array_split(usable, max(1, points // 2 - 1)):
        kept |= {int(part[np.argmin(values[part])]), int(part[np.argmax(values[part])])}
    return np.array(sorted(kept), dtype=np.int64)


def smoothed(values: FloatArray, span: int, *, logarithmic: bool = False) -> FloatArray:
    """The exponential moving average over about `span` values [n], corrected for its start.

    For a logarithmic axis the logarithms are averaged: a spike of many decades would otherwise
    decay along a straight line, far above everything that follows. The values must be positive.
    """
    if not len(values):
        return values
    if logarithmic:
        averaged: FloatArray = np.exp(smoothed(np.log(values), span))
        return averaged
    weight = 2.0 / (span + 1.0)
    level = norm = 0.0
    result = np.empty(len(values))
    for index, value in enumerate(values.tolist()):
        level += weight * (value - level)
        norm += weight * (1.0 - norm)
        result[index] = level / norm
    return result


def time_bins(count: int, bins: int) -> list[npt.NDArray[np.int64]]:
    """Split the indices 0 … count − 1 into at most `bins` non-empty parts of about equal length."""
    return [part for part in np.array_split(np.arange(count), min(bins, count)) if len(part)]
