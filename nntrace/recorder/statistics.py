"""The statistics of sampled values, computed in blocks of rows of equal length.

All are over the finite values of a row. Powers are taken of distances from the median, of rows
whose values are very small or very large in units of a power of two: gradients of 1e-25 keep their
standard deviation, values of 1e30 do not overflow, and no digit is lost to either.
"""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nntrace.recorder.blocks import Workspace
from nntrace.recorder.histograms import BinCounts
from nntrace.recorder.rows import Members
from nntrace.recorder.sample import Float32Array, Layout
from nntrace.schema import QUANTILES, STATISTICS

FloatArray = npt.NDArray[np.floating]
Float64Array = npt.NDArray[np.float64]

_MAX_RUNNING_SUM = 1 << 13  # beyond it the rounding of a running float32 sum shows
# Between these values of a row's largest element its fourth powers and their sum fit float32.
_FOURTH_POWERS = (2.0**-25, 2.0**24)
_FEW = 64  # so few values are summed in float64: their mean may be smaller than float32's rounding
_NO_VARIATION = 1e-4  # of the variance: so much may be left of a difference of rounded sums
_RAIL = 0.03  # within 3 % of the range counts as at the end of it


class _Facts(NamedTuple):
    """Sums and order statistics of m rows, from which their statistics are computed, each [m].

    They are the first rows of a table; the others are the smallest value, the largest, and those on
    either side of each quantile. `size` counts the finite values. `first` to `fourth` are sums of
    powers of the distances from `centre`, in units of `unit`. `by_example` sums the squares of the
    sums over examples, divided by the number of examples.
    """

    size: Float64Array
    nonfinite: Float64Array
    zeros: Float64Array
    centre: Float64Array
    unit: Float64Array
    first: Float64Array
    second: Float64Array
    third: Float64Array
    fourth: Float64Array
    by_example: Float64Array


_FACTS = len(_Facts._fields)
_SIZE, _NONFINITE, _ZEROS, _CENTRE, _UNIT, _FIRST, *_, _BY_EXAMPLE = range(_FACTS)
_TABLE_ROWS = _FACTS + 2 + 2 * len(QUANTILES)


def batched_statistics(
    by_layout: Mapping[Layout, Members],
    count: int,
    workspace: Workspace,
    bins: BinCounts | None = None,
) -> dict[str, Float64Array]:
    """Statistics of `count` rows, as arrays [count], NaN where undefined.

    Standard deviation, skew and excess kurtosis are the population ones; quantiles are linearly
    interpolated as `numpy.quantile` does. Columns that are not about the values themselves are
    there, with NaN. The rows that `bins` wants are counted on the way, as they are sorted here.
    """
    table = np.full((_TABLE_ROWS, count), np.nan)
    by_size: defaultdict[int, list[Layout]] = defaultdict(list)
    for layout in by_layout:
        by_size[layout.size].append(layout)
    for layouts in by_size.values():
        group = _Group(
            np.concatenate([by_layout[layout].numbers for layout in layouts]),
            [row for layout in layouts for row in by_layout[layout].values],
            [(layout, len(by_layout[layout].values)) for layout in layouts],
        )
        table[:, group.numbers] = _table_of(group, workspace, bins)
    result = _from_table(table)
    result |= {name: np.full(count, np.nan) for name in STATISTICS if name not in result}
    _mend_example_std(result, by_layout)
    return result


class _Group(NamedTuple):
    """Rows of equal length: their numbers and values, and how many in a row have which layout."""

    numbers: npt.NDArray[np.int64]
    rows: Sequence[Float32Array]
    runs: Sequence[tuple[Layout, int]]


def _table_of(group: _Group, workspace: Workspace, bins: BinCounts | None) -> Float64Array:
    numbers, rows, runs = group
    n = len(rows[0])
    places = np.array([0, n - 1, *(place for q in QUANTILES.values() for place in _around(q, n))])
    table = np.full((_TABLE_ROWS, len(rows)), np.nan)
    firsts = accumulate((length for _, length in runs), initial=0)
    of_examples = [
        (layout, first, first + length)
        for (layout, length), first in zip(runs, firsts, strict=False)
        if layout.per_unit and layout.examples > 1
    ]
    start = 0
    for block, ordered in workspace.blocks(rows):
        end = start + len(block)
        part = table[:, start:end]
        part[_FACTS:] = ordered.take(places, axis=1).T
        part[_ZEROS] = _zeros(ordered)
        if bins is not None:
            bins.count(numbers[start:end], ordered)
        distances = _sum_up(block, ordered, part)
        for layout, first, last in of_examples:
            if first < end and start < last:
                some = slice(max(first - start, 0), min(last, end) - start)
                part[_BY_EXAMPLE, some] = _by_example(distances[some], layout)
        start = end
    table[_SIZE], table[_NONFINITE] = n, 0.0
    whole = np.isfinite(table[_FACTS]) & np.isfinite(table[_FACTS + 1])
    for number in np.flatnonzero(~whole).tolist():
        table[:, number] = _masked(rows[number], workspace)
    return table


def _sum_up(values: FloatArray, ordered: FloatArray, table: Float64Array) -> FloatArray:
    """Compute the sums over rows [m, n], given in both orders; both arrays are overwritten.

    Returns the distances of the values from the centre.
    """
    m, n = values.shape
    if n <= _FEW:
        values, ordered = values.astype(np.float64), ordered.astype(np.float64)
    # The median is within a standard deviation of the mean, so that central moments are no small
    # difference of large numbers; and it is a value of the row: the distance is exact near it.
    centre = ordered[:, n // 2].copy()
    table[_UNIT] = _scaled(values, centre, np.maximum(-ordered[:, 0], ordered[:, -1]))
    table[_CENTRE] = centre
    values -= centre[:, None]
    squares = np.multiply(values, values, out=ordered)
    sums = np.empty((4, m), values.dtype)
    _dot(values, np.ones((1, n), values.dtype), sums[0])
    _dot(values, values, sums[1])
    _dot(squares, values, sums[2])
    _dot(squares, squares, sums[3])
    table[_FIRST : _FIRST + 4] = sums
    return values


def _dot(a: FloatArray, b: FloatArray, out: FloatArray) -> None:
    """The sums of products of rows [m, n], in their precision."""
    if a.shape[1] > _MAX_RUNNING_SUM:
        np.add.reduce(a * b, axis=1, out=out)  # adds the last axis pairwise
    else:
        np.matmul(a[:, None, :], b[:, :, None], out=out[:, None, None])


def _scaled(values: FloatArray, centre: FloatArray, largest: FloatArray) -> Float64Array | float:
    """Scale rows whose fourth powers do not fit float32; returns each row's unit."""
    smallest, greatest = _FOURTH_POWERS
    if smallest < largest.min() and largest.max() < greatest:
        return 1.0
    units = np.ones(len(values))
    outside = (largest <= smallest) | (largest >= greatest)
    for row in np.flatnonzero(outside & (largest > 0)).tolist():
        exponent = min(max(math.frexp(largest[row])[1], -126), 126)
        units[row] = 2.0**exponent
        values[row] *= np.float32(2.0**-exponent)
        centre[row] *= np.float32(2.0**-exponent)
    return units


def _by_example(distances: FloatArray, layout: Layout) -> FloatArray:
    shape = (len(distances), layout.examples, layout.positions * layout.units)
    sums = np.add.reduce(distances.reshape(shape), axis=1)
    squares = np.empty(len(sums), sums.dtype)
    _dot(sums, sums, squares)
    return squares / layout.examples


def _masked(row: Float32Array, workspace: Workspace) -> Float64Array:
    """The column of the table for a row that holds non-finite values."""
    kept = row[np.isfinite(row)]
    if len(kept):
        layout = Layout(1, 1, len(kept), per_unit=False)
        group = _Group(np.zeros(1, dtype=np.int64), [kept], [(layout, 1)])
        column = _table_of(group, workspace, None)[:, 0]
    else:
        column = np.full(_TABLE_ROWS, np.nan)
    column[_NONFINITE] = 1.0 - len(kept) / len(row)
    return column


def _from_table(table: Float64Array) -> dict[str, Float64Array]:
    of, low, high = _Facts(*table[:_FACTS]), table[_FACTS], table[_FACTS + 1]
    first, second, raw_third, fourth, by_example = table[_FIRST:_FACTS] / of.size
    below, above = table[_FACTS + 2 :: 2], table[_FACTS + 3 :: 2]
    weights = np.array(list(QUANTILES.values()))[:, None] * (of.size - 1) % 1
    quantiles = dict(zip(QUANTILES, below + weights * (above - below), strict=True))
    variance = np.maximum(second - first**2, 0)
    is_one_value = low == high
    deviation = np.sqrt(np.where(is_one_value | (variance == 0), np.nan, variance))
    mean = np.where(is_one_value, low, (of.centre + first) * of.unit)
    std = np.where(is_one_value, 0.0, np.sqrt(variance) * of.unit)
    third = raw_third - first * (3 * second - 2 * first**2)
    fourth = fourth - first * (4 * raw_third - first * (6 * second - 3 * first**2))
    between = second - by_example
    # What is left of a difference of rounded sums is no variation.
    between[between <= _NO_VARIATION * variance] = np.inf
    return {
        "mean": mean,
        "std": std,
        "rms": np.hypot(mean, std),
        "min": low,
        "max": high,
        **quantiles,
        "zero_fraction": of.zeros / of.size,
        "nonfinite_fraction": of.nonfinite,
        "skew": third / (deviation * deviation**2),
        "kurtosis": fourth / (deviation**2) ** 2 - 3,
        "example_std": np.sqrt(between) * of.unit,
    }


def _mend_example_std(
    statistics: Mapping[str, Float64Array], by_layout: Mapping[Layout, Members]
) -> None:
    """Compute the spread of rows that hardly vary from the values themselves."""
    spread = statistics["example_std"]
    for layout, (numbers, values) in by_layout.items():
        for place in np.flatnonzero(np.isinf(spread[numbers])).tolist():
            shape = (layout.examples, layout.positions * layout.units)
            examples = values[place].reshape(shape).astype(np.float64)
            is_constant = (examples == examples[0]).all()
            variance = 0.0 if is_constant else examples.var(axis=0).mean()
            spread[numbers[place]] = math.sqrt(variance)


def _around(q: float, n: int) -> tuple[int, int]:
    """The places, in order, of the values on either side of a quantile of n."""
    below = int(q * (n - 1))
    return below, min(below + 1, n - 1)


def _zeros(values: FloatArray) -> npt.NDArray[np.int64]:
    """The number of zeros in each row."""
    zero = values == 0
    counts = np.zeros(len(values), dtype=np.int64)
    for row in np.flatnonzero(zero.any(axis=1)).tolist():
        counts[row] = np.count_nonzero(zero[row])
    return counts


def saturated_fraction(values: Float32Array, low: float, high: float) -> float:
    """The fraction of values within 3 % of the range [low, high] from an end of it."""
    margin = _RAIL * (high - low)
    at_rail = np.count_nonzero(values < low + margin) + np.count_nonzero(values > high - margin)
    return float(at_rail / max(values.size, 1))
