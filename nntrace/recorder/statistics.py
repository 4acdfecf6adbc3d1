"""The statistics of sampled values, computed in batches of rows of equal layout.

All are over the finite values of a row. Powers are taken of values scaled into [−1, 1], so that
gradients of 1e-25 keep their standard deviation and values of 1e30 do not overflow.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from nntrace.recorder.sample import Float32Array, Layout
from nntrace.schema import MOMENTS, QUANTILES

_EXPONENT_BITS = 512  # sign and exponent of a float32
_BLOCK_ELEMENTS = 1 << 17  # 512 KiB of float32
_MAX_RUNNING_SUM = 1 << 13  # beyond it the rounding of a running float32 sum shows
_RAIL = 0.03  # within 3 % of the range counts as at the end of it


def batched_statistics(
    rows: Sequence[Float32Array], layout: Layout
) -> dict[str, npt.NDArray[np.float64]]:
    """Statistics of m rows of n values each, as arrays [m], NaN where undefined.

    Standard deviation, skew and excess kurtosis are the population ones; quantiles are linearly
    interpolated as `numpy.quantile` does.
    """
    result: dict[str, npt.NDArray[np.float64]] = {}

    def column_of(name: str) -> npt.NDArray[np.float64]:
        column = result.get(name)
        if column is None:
            column = result[name] = np.full(len(rows), np.nan)
        return column

    # Few rows at a time: they and their temporaries then stay in the processor's cache, and the
    # same memory serves all, because fresh memory costs a page fault every 4 KiB.
    n = len(rows[0])
    size = min(max(1, _BLOCK_ELEMENTS // n), len(rows))
    memory = np.empty((4, size * n), dtype=np.float32)
    for start in range(0, len(rows), size):
        chosen = rows[start : start + size]
        block, ordered, *work = memory[:, : len(chosen) * n].reshape(4, len(chosen), n)
        np.concatenate(chosen, out=block.reshape(-1))
        ordered[:] = block
        ordered.sort(axis=1)  # NaN and +inf come last, −inf first
        whole = np.isfinite(ordered[:, 0]) & np.isfinite(ordered[:, -1])
        if whole.all():
            for name, column in _finite_statistics(block, ordered, layout, work).items():
                column_of(name)[start : start + size] = column
            continue
        if whole.any():
            some = [part[whole] for part in (block, ordered, *work)]
            found = _finite_statistics(some[0], some[1], layout, some[2:])
            for name, column in found.items():
                column_of(name)[start : start + size][whole] = column
        for number in np.flatnonzero(~whole):
            for name, value in _masked_statistics(block[number]).items():
                column_of(name)[start + number] = value
    return result


def _finite_statistics(
    values: Float32Array, ordered: Float32Array, layout: Layout, work: Sequence[Float32Array]
) -> dict[str, npt.NDArray[np.float64]]:
    """As above, for rows [m, n] of finite values; `work` is memory for two arrays of that shape."""
    m, n = values.shape
    low, high = ordered[:, 0].astype(np.float64), ordered[:, -1].astype(np.float64)
    # Scaled before the mean is taken: a sum of values near the float32 limit overflows.
    scale = np.maximum(np.maximum(-low, high), np.finfo(np.float32).tiny)
    centred, squares = work
    np.divide(values, scale.astype(np.float32)[:, None], out=centred)
    mean = _sums(centred) / n
    centred -= mean.astype(np.float32)[:, None]
    # What was subtracted is the mean as float32 has it: the rest is still in the values.
    mean = mean.astype(np.float32).astype(np.float64)
    residual = _sums(centred) / n
    np.multiply(centred, centred, out=squares)
    variance = np.maximum(_sums(squares) / n - residual**2, 0)
    deviation = np.sqrt(variance)
    constant = low == high
    defined = np.where(constant | (deviation == 0), np.nan, deviation)
    third = _sums_of_products(squares, centred) / n - 3 * residual * variance
    fourth = _sums_of_products(squares, squares) / n
    true_mean = np.where(constant, low, (mean + residual) * scale)
    std = np.where(constant, 0.0, deviation * scale)
    result = {
        "mean": true_mean,
        "std": std,
        "rms": np.hypot(true_mean, std),
        "min": low,
        "max": high,
        **_quantiles(ordered),
        "zero_fraction": _zeros(values) / n,
        "nonfinite_fraction": np.zeros(m),
        "skew": third / defined**3,
        "kurtosis": fourth / defined**4 - 3,
    }
    if layout.per_unit and layout.examples > 1:
        shape = (m, layout.examples, layout.positions * layout.units)
        by_example = np.add.reduce(centred.reshape(shape), axis=1)
        by_example *= by_example
        explained = _sums(by_example) / layout.examples
        between = np.maximum(variance + residual**2 - explained / n, 0)
        varies = np.sqrt(between) * scale
        # What is left of a difference of rounded sums is no variation.
        doubtful = np.flatnonzero(varies <= 1e-2 * std)
        for row in doubtful:
            examples = values[row].reshape(shape[1:]).astype(np.float64)
            varies[row] = np.sqrt(examples.var(axis=0).mean())
            if (examples == examples[0]).all():
                varies[row] = 0.0
        result["example_std"] = varies
    return result


def _sums(rows: Float32Array) -> npt.NDArray[np.float64]:
    """The sums of rows [m, n]; NumPy adds the last axis pairwise, so float32 is enough."""
    sums: npt.NDArray[np.float64] = np.add.reduce(rows, axis=1).astype(np.float64)
    return sums


def _sums_of_products(a: Float32Array, b: Float32Array) -> npt.NDArray[np.float64]:
    if a.shape[1] > _MAX_RUNNING_SUM:
        return _sums(a * b)
    return (a[:, None, :] @ b[:, :, None]).reshape(len(a)).astype(np.float64)


def _zeros(values: Float32Array) -> npt.NDArray[np.int64]:
    """How many of each row are zero."""
    zero = values == 0
    if not zero.any():
        return np.zeros(len(values), dtype=np.int64)
    return np.array([np.count_nonzero(row) for row in zero])


def _quantiles(ordered: Float32Array) -> dict[str, npt.NDArray[np.float64]]:
    n = ordered.shape[1]
    result = {}
    for name, q in QUANTILES.items():
        position = q * (n - 1)
        below = int(position)
        above = min(below + 1, n - 1)
        lower = ordered[:, below].astype(np.float64)
        result[name] = lower + (position - below) * (ordered[:, above] - lower)
    return result


def _masked_statistics(row: Float32Array) -> Mapping[str, float]:
    """Statistics of one row that holds non-finite values."""
    kept = row[np.isfinite(row)]
    result = dict.fromkeys((*MOMENTS, *QUANTILES, "skew", "kurtosis"), float("nan"))
    result["nonfinite_fraction"] = 1.0 - len(kept) / len(row)
    if len(kept):
        layout = Layout(1, 1, len(kept), per_unit=False)
        work = np.empty((2, 1, len(kept)), dtype=np.float32)
        computed = _finite_statistics(kept[None, :], np.sort(kept)[None, :], layout, [*work])
        computed.pop("nonfinite_fraction")
        result |= {name: float(column[0]) for name, column in computed.items()}
    return result


def saturated_fraction(values: Float32Array, low: float, high: float) -> float:
    """The fraction of values within 3 % of the range [low, high] from an end of it."""
    margin = _RAIL * (high - low)
    at_rail = np.count_nonzero(values < low + margin) + np.count_nonzero(values > high - margin)
    return float(at_rail / max(values.size, 1))


def signed_log2_histogram(
    values: Float32Array,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """A sparse histogram of `values` [n]: ascending edges and their counts.

    A positive edge e stands for [e, 2e), a negative one for (2e, e], 0 for zero and subnormal
    numbers, ±inf for non-finite ones. The bin is the sign and exponent of the float32 itself.
    """
    bins = (np.ascontiguousarray(values).view(np.uint32) >> 23).astype(np.int64)
    counts = np.bincount(bins, minlength=_EXPONENT_BITS)
    counts[0] += counts[256]  # +0 and −0
    counts[256] = 0
    present = np.flatnonzero(counts)
    edges = (present.astype(np.uint32) << 23).view(np.float32)
    order = np.argsort(edges)
    return edges[order], counts[present[order]]
