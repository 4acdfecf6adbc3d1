"""Facts on whole layers that take more than moments: how many directions outputs use, which filters
are gone. They cost more than the other statistics and change slowly: every fourth sample has them.
"""

import math
from collections import Counter
from typing import Final

import numpy as np
import numpy.typing as npt

from nntrace.recorder.sample import RUN, Float32Array, Layout, fixed_runs

_EVERY = 4
_FEWEST_ROWS = 16
_FEWEST_UNITS = 4
_MOST_UNITS = 512
NEGLIGIBLE: Final = 1e-3  # of the median filter


class Turns:
    """Whose turn it is: each site's at its first sample and every fourth from then on."""

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()

    def next(self, site: int) -> bool:
        """Whether this sample of the site is looked at closely."""
        self._seen[site] += 1
        return self._seen[site] % _EVERY == 1


def effective_rank(row: Float32Array, layout: Layout) -> float | None:
    """Participation ratio (Σλ)² / Σλ² of the covariance of the units over examples and positions.

    1 when all examples lie on a line, at most the smaller of rows − 1 and units. None where the
    sample is too small or not finite, or nothing varies. Source: Gao et al. 2017.
    """
    rows, units = layout.examples * layout.positions, layout.units
    if rows < _FEWEST_ROWS or not _FEWEST_UNITS <= units <= _MOST_UNITS:
        return None
    matrix = row.reshape(rows, units)
    centred = matrix - matrix.mean(axis=0)
    largest = float(np.abs(centred).max())
    if not np.isfinite(largest) or largest <= 0:
        return None
    centred /= np.float32(largest)
    gram = centred @ centred.T if rows < units else centred.T @ centred
    total = float(np.trace(gram))
    return total**2 / float(np.vdot(gram, gram)) if total > 0 else None


class Filters:
    """Which output rows of a weight the fixed sample's elements belong to, and how many to each,
    worked out once.
    """

    def __init__(self) -> None:
        self._filters: dict[int, tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = {}

    def dead_fraction(
        self, site: int, shape: tuple[int, ...], axis: int, row: Float32Array
    ) -> float | None:
        """The fraction of filters all of whose sampled weights are next to zero.

        Those of a weight of `shape` are along `axis`. None for fewer than four of them.
        """
        if len(shape) < 2 or not 0 <= axis < len(shape) or shape[axis] < _FEWEST_UNITS:
            return None
        known = self._filters.get(site)
        if known is None or len(known[0]) != len(row):
            owner = _filters_of(shape, axis, len(row))
            known = self._filters[site] = owner, np.bincount(owner, minlength=shape[axis])
        owner, count = known
        power = np.bincount(owner, weights=np.square(row, dtype=np.float64), minlength=len(count))
        size = np.sqrt(power / np.maximum(count, 1))
        seen = size[count > 0]
        usual = float(np.median(seen))
        if not np.isfinite(usual):
            return None
        # Half of them gone, the median is gone too: then the mean tells what is usual.
        usual = max(usual, float(seen.mean()) / 10)
        return float(np.mean(seen < NEGLIGIBLE * usual)) if usual > 0 else None


def _filters_of(shape: tuple[int, ...], axis: int, count: int) -> npt.NDArray[np.int64]:
    numel = math.prod(shape)
    if count >= numel:
        places = np.arange(count)
    else:
        runs, step = fixed_runs(shape, count)
        places = (np.arange(runs)[:, None] * step + np.arange(RUN)).reshape(-1)[:count]
    return places // math.prod(shape[axis + 1 :]) % shape[axis]
