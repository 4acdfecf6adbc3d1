"""Small pure helpers on noisy series: noise, trend, windows, and what lasts until the end.

All are robust (medians and ranks), take 1-D arrays without NaN, and are defined for empty and
constant arrays, so that rules need not treat these.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from nntrace.trace.model import BoolArray, FloatArray, IntArray

MAD_TO_STD = 1.4826  # of a Gaussian
_MEDIAN_ERROR = 1.2533  # standard error of a median relative to that of a mean
_TREND_POINTS = 200
_MOST_DIGITS = 1e5  # from here on a factor is written with an exponent
_BLOCKS = 10  # of a median of means
_WINDOWS_AT_ONCE = 8192  # sorted together


def finite(values: npt.ArrayLike) -> FloatArray:
    """The finite values, in order."""
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def median(values: npt.ArrayLike) -> float:
    """The median of the finite values; NaN if there are none."""
    usable = finite(values)
    return float(np.median(usable)) if len(usable) else float("nan")


def column_medians(values: FloatArray) -> FloatArray:
    """[columns]: the median of the finite values of each column; NaN for one that has none."""
    return np.array([median(column) for column in values.T])


def span(steps: npt.ArrayLike) -> tuple[int, int]:
    """The lowest and the highest step; (0, 0) if there are none."""
    array = np.asarray(steps)
    return (int(array.min()), int(array.max())) if len(array) else (0, 0)


def noise_scale(values: FloatArray) -> float:
    """Standard deviation of the noise around a slowly changing level, robust to spikes.

    Computed from the median absolute successive difference, which a trend hardly affects; 0 for
    fewer than two values.
    """
    if len(values) < 2:
        return 0.0
    return float(np.median(np.abs(np.diff(values)))) * MAD_TO_STD / float(np.sqrt(2.0))


def median_error(noise: float, *counts: int) -> float:
    """Standard error of the difference of medians over `counts` values each."""
    return _MEDIAN_ERROR * noise * float(np.sqrt(sum(1.0 / max(1, n) for n in counts)))


def window_medians(values: FloatArray, windows: int) -> FloatArray:
    """The medians of `windows` equal parts (fewer if there are fewer values)."""
    parts = np.array_split(values, max(1, min(windows, len(values))))
    return np.array([np.median(part) for part in parts if len(part)])


def least_around(values: FloatArray, width: int) -> FloatArray:
    """For each value a lower bound of the values up to `width` before and after it, cheaply.

    No median of those neighbours is below the bound, so a value that does not stand out from it
    does not stand out from them.
    """
    if not len(values):
        return np.empty(0)
    width = max(1, width)
    lowest = np.minimum.reduceat(values, np.arange(0, len(values), width))
    padded = np.pad(lowest, 1, mode="edge")
    around = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    return np.asarray(np.repeat(around, width)[: len(values)])


def medians_around(values: FloatArray, places: IntArray, before: int, after: int) -> FloatArray:
    """The medians of the values around some places, without the place's own; NaN at other places.

    The neighbours are up to `before` earlier values and `after` later ones; NaN if there are none.
    """
    middle = np.full(len(values), np.nan)
    for part, near in _neighbours(values, places, before, after):
        middle[part] = _row_medians(near)
    return middle


def spreads_around(
    values: FloatArray, middle: FloatArray, places: IntArray, before: int, after: int
) -> FloatArray:
    """At some places, the robust deviation of the neighbours from `middle`, their median."""
    parts = _neighbours(values, places, before, after)
    found = [_row_medians(np.abs(near - middle[part][:, None])) for part, near in parts]
    return MAD_TO_STD * np.concatenate([*found, np.empty(0)])


def _neighbours(
    values: FloatArray, places: IntArray, before: int, after: int
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Some thousand places at a time, each with the values around it, NaN beyond the ends."""
    padded = np.pad(values, (before, after), constant_values=np.nan)
    windows = sliding_window_view(padded, before + 1 + after)
    for start in range(0, len(places), _WINDOWS_AT_ONCE):
        part = places[start : start + _WINDOWS_AT_ONCE]
        yield part, np.delete(windows[part], before, axis=1)


def _row_medians(rows: FloatArray) -> FloatArray:
    """The median of what is known in each row; NaN for one of which nothing is."""
    found = np.full(len(rows), np.nan)
    is_whole = ~np.isnan(rows).any(axis=1) & bool(rows.shape[1])
    found[is_whole] = np.median(rows[is_whole], axis=1)
    found[~is_whole] = [median(row) for row in rows[~is_whole]]
    return found


def median_of_means(values: FloatArray) -> float:
    """A mean that is robust to a few spikes: the median of the means of interleaved parts.

    Unlike a median it estimates the mean of a skewed distribution, such as the losses of small
    batches. There are at most ten parts, of five values or more. NaN for no values.
    """
    if not len(values):
        return float("nan")
    count = max(1, min(_BLOCKS, len(values) // 5))
    return float(np.median([values[start::count].mean() for start in range(count)]))


def rounded(factor: float) -> float:
    """A factor rounded to one significant digit."""
    return float(f"{factor:.1g}")


def in_times(factor: float) -> str:
    """A factor as text: 153, or 1.5e+11 if the digits would mean nothing."""
    return f"{factor:.0f}" if abs(factor) < _MOST_DIGITS else f"{factor:.1e}"


def trend_z(values: FloatArray) -> float:
    """Mann–Kendall trend statistic, standard normal without a trend; negative when falling.

    Long series are first averaged down to 200 points. Ranks only: spikes and scale do not matter.
    """
    if len(values) > _TREND_POINTS:
        values = np.array([part.mean() for part in np.array_split(values, _TREND_POINTS)])
    n = len(values)
    if n < 3:
        return 0.0
    rising = np.sign(values[None, :] - values[:, None])
    score = float(np.triu(rising, 1).sum())
    return score / float(np.sqrt(n * (n - 1) * (2 * n + 5) / 18.0))


def lasting(holds: BoolArray, minimum: int) -> int | None:
    """Index from which `holds` is true until the end; None if for fewer than `minimum` entries."""
    broken = np.flatnonzero(~holds)
    start = int(broken[-1]) + 1 if len(broken) else 0
    length = len(holds) - start
    return start if length and length >= minimum else None
