"""The statistics of sampled values, computed in batches of rows of equal layout.

All are over the finite values of a row. Powers are taken of distances from the median, of rows
whose values are very small or very large in units of a power of two: gradients of 1e-25 keep their
standard deviation, values of 1e30 do not overflow, and no digit is lost to either.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nntrace.recorder.sample import Float32Array, Layout
from nntrace.schema import MOMENTS, QUANTILES

FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]

_EXPONENT_BITS, _EXPONENT_SHIFT = 9, 23  # of a float32, with its sign
_BLOCK_ELEMENTS = 1 << 17  # 512 KiB of float32
_SKEW_ELEMENTS = 272  # two arrays whose addresses are a multiple of 4 KiB apart wait for each other
_MAX_RUNNING_SUM = 1 << 13  # beyond it the rounding of a running float32 sum shows
_FOURTH_POWERS = (2.0**-25, 2.0**24)  # the largest of a row, for which float32 has them and sums
_FEW = 64  # values, of which a rounding may be all that their mean is
_RAIL = 0.03  # within 3 % of the range counts as at the end of it


def batched_statistics(rows: Sequence[Float32Array], layout: Layout) -> dict[str, Float64Array]:
    """Statistics of m rows of n values each, as arrays [m], NaN where undefined.

    Standard deviation, skew and excess kurtosis are the population ones; quantiles are linearly
    interpolated as `numpy.quantile` does.
    """
    n = len(rows[0])
    places = [0, n - 1, *(place for q in QUANTILES.values() for place in _around(q, n))]
    in_order = np.full((len(places), len(rows)), np.nan)
    sums = np.full((len(_Sums._fields), len(rows)), np.nan)
    broken: dict[int, Mapping[str, float]] = {}
    start = 0
    for block, ordered in _blocks(rows):
        end = start + len(block)
        whole = np.isfinite(ordered[:, 0]) & np.isfinite(ordered[:, -1])
        if whole.all():
            in_order[:, start:end] = ordered[:, places].T
            sums[:, start:end] = _sums_of(block, ordered, layout)
        else:
            for number in np.flatnonzero(~whole).tolist():
                broken[start + number] = _masked_statistics(block[number])
            in_order[:, start:end][:, whole] = ordered[whole][:, places].T
            sums[:, start:end][:, whole] = _sums_of(block[whole], ordered[whole], layout)
        start = end
    result = _from_sums(in_order, _Sums(*sums), n)
    if not _has_example_std(layout):
        result.pop("example_std")
    for number, statistics in broken.items():
        for name, value in statistics.items():
            result[name][number] = value
    return result


def _blocks(rows: Sequence[Float32Array]) -> Iterator[tuple[Float32Array, Float32Array]]:
    """The rows, a block [m, n] of them at a time, and the same with each row in order.

    Few at a time: they then stay in the processor's cache, and the same memory serves all, because
    fresh memory costs a page fault every 4 KiB.
    """
    n = len(rows[0])
    size = min(max(1, _BLOCK_ELEMENTS // n), len(rows))
    memory = np.empty(2 * size * n + _SKEW_ELEMENTS, dtype=np.float32)
    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        elements = len(chosen) * n
        block = memory[:elements].reshape(-1, n)
        ordered = memory[-elements:].reshape(-1, n)
        np.concatenate(chosen, out=block.reshape(-1))
        ordered[:] = block
        ordered.sort(axis=1)  # NaN and +inf come last, −inf first
        yield block, ordered


class _Sums(NamedTuple):
    """What is summed over rows, each [m]: means of powers of the distances from `centre`.

    They are in units of `unit`, as is `between`, the mean over units of the variance over examples.
    """

    zeros: Float64Array
    centre: Float64Array
    unit: Float64Array
    first: Float64Array
    second: Float64Array
    third: Float64Array
    fourth: Float64Array
    between: Float64Array


def _sums_of(values: FloatArray, ordered: FloatArray, layout: Layout) -> Float64Array:
    """The fields of `_Sums` of finite rows [m, n], given in both orders; neither stays as it is."""
    m, n = values.shape
    if n <= _FEW:
        values, ordered = values.astype(np.float64), ordered.astype(np.float64)
    sums = np.full((len(_Sums._fields), m), np.nan)
    of = _Sums(*sums)
    of.zeros[:] = _zeros(ordered) / n
    # The median is within a standard deviation of the mean, so that central moments are no small
    # difference of large numbers; and it is a value of the row: the distance is exact near it.
    centre = ordered[:, n // 2].copy()
    of.unit[:] = _scaled(values, centre, np.maximum(-ordered[:, 0], ordered[:, -1]))
    of.centre[:] = centre
    values -= centre[:, None]
    squares = np.multiply(values, values, out=ordered)
    of.first[:] = _sums(values)
    of.second[:] = _sums_of_products(values, values)
    of.third[:] = _sums_of_products(squares, values)
    of.fourth[:] = _sums_of_products(squares, squares)
    sums[3:] /= n
    if _has_example_std(layout):
        shape = (m, layout.examples, layout.positions * layout.units)
        by_example = np.add.reduce(values.reshape(shape), axis=1)
        by_example *= by_example
        explained = _sums(by_example) / (layout.examples * n)
        of.between[:] = np.maximum(of.second - explained, 0)
        # What is left of a difference of rounded sums is no variation.
        for row in np.flatnonzero(of.between <= 1e-4 * (of.second - of.first**2)):
            examples = values[row].reshape(shape[1:]).astype(np.float64)
            is_constant = (examples == examples[0]).all()
            of.between[row] = 0.0 if is_constant else examples.var(axis=0).mean()
    return sums


def _scaled(values: FloatArray, centre: FloatArray, largest: FloatArray) -> Float64Array:
    """Put rows whose fourth powers float32 has not into another unit; each row's unit."""
    units = np.ones(len(values))
    smallest, greatest = _FOURTH_POWERS
    outside = (largest <= smallest) | (largest >= greatest)
    for row in np.flatnonzero(outside & (largest > 0)).tolist():
        exponent = min(max(math.frexp(largest[row])[1], -126), 126)
        units[row] = 2.0**exponent
        values[row] *= np.float32(2.0**-exponent)
        centre[row] *= np.float32(2.0**-exponent)
    return units


def _from_sums(in_order: Float64Array, of: _Sums, n: int) -> dict[str, Float64Array]:
    """The statistics of rows of n values; `in_order` are the smallest, the largest and those on
    either side of each quantile.
    """
    low, high = in_order[:2]
    below, above = in_order[2::2], in_order[3::2]
    weights = np.array([q * (n - 1) % 1 for q in QUANTILES.values()])
    quantiles = dict(zip(QUANTILES, below + weights[:, None] * (above - below), strict=True))
    first, second = of.first, of.second
    variance = np.maximum(second - first**2, 0)
    is_constant = (low == high) | (variance == 0)
    deviation = np.where(is_constant, np.nan, np.sqrt(variance))
    mean = np.where(low == high, low, (of.centre + first) * of.unit)
    std = np.where(low == high, 0.0, np.sqrt(variance) * of.unit)
    third = of.third - first * (3 * second - 2 * first**2)
    fourth = of.fourth - first * (4 * of.third - first * (6 * second - 3 * first**2))
    return {
        "mean": mean,
        "std": std,
        "rms": np.hypot(mean, std),
        "min": low,
        "max": high,
        **quantiles,
        "zero_fraction": of.zeros,
        "nonfinite_fraction": np.zeros(len(low)),
        "skew": third / (deviation * deviation**2),
        "kurtosis": fourth / (deviation**2) ** 2 - 3,
        "example_std": np.sqrt(of.between) * of.unit,
    }


def _has_example_std(layout: Layout) -> bool:
    return layout.per_unit and layout.examples > 1


def _around(q: float, n: int) -> tuple[int, int]:
    """The places, in order, of the values on either side of a quantile of n."""
    below = int(q * (n - 1))
    return below, min(below + 1, n - 1)


def _sums(rows: FloatArray) -> Float64Array:
    """The sums of rows [m, n]; NumPy adds the last axis pairwise, so float32 is enough."""
    sums: Float64Array = np.add.reduce(rows, axis=1).astype(np.float64, copy=False)
    return sums


def _sums_of_products(a: FloatArray, b: FloatArray) -> Float64Array:
    if a.shape[1] > _MAX_RUNNING_SUM:
        return _sums(a * b)
    return (a[:, None, :] @ b[:, :, None]).reshape(len(a)).astype(np.float64)


def _zeros(values: FloatArray) -> npt.NDArray[np.int64]:
    """How many of each row are zero."""
    zero = values == 0
    counts = np.zeros(len(values), dtype=np.int64)
    for row in np.flatnonzero(zero.any(axis=1)).tolist():
        counts[row] = np.count_nonzero(zero[row])
    return counts


def _masked_statistics(row: Float32Array) -> Mapping[str, float]:
    """Statistics of one row that holds non-finite values."""
    kept = row[np.isfinite(row)]
    result = dict.fromkeys((*MOMENTS, *QUANTILES, "skew", "kurtosis"), float("nan"))
    result["nonfinite_fraction"] = 1.0 - len(kept) / len(row)
    if len(kept):
        computed = batched_statistics([kept], Layout(1, 1, len(kept), per_unit=False))
        computed.pop("nonfinite_fraction")
        result |= {name: float(column[0]) for name, column in computed.items()}
    return result


def saturated_fraction(values: Float32Array, low: float, high: float) -> float:
    """The fraction of values within 3 % of the range [low, high] from an end of it."""
    margin = _RAIL * (high - low)
    at_rail = np.count_nonzero(values < low + margin) + np.count_nonzero(values > high - margin)
    return float(at_rail / max(values.size, 1))


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
