"""Facts on whole layers that take more than moments: how many directions outputs use, which filters
are gone. They cost more than the other statistics and change slowly: every fourth sample has them.
"""

import math
from collections import Counter
from typing import Final, NamedTuple

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
    centred = matrix - np.add.reduce(matrix, axis=0) / np.float32(rows)
    largest = max(float(centred.max()), -float(centred.min()))
    if not np.isfinite(largest) or largest <= 0:
        return None
    centred /= np.float32(largest)
    gram = centred @ centred.T if rows < units else centred.T @ centred
    total = float(gram.diagonal().sum())
    return total**2 / float(np.vdot(gram, gram)) if total > 0 else None


class _Owners(NamedTuple):
    """Of a weight with so many `sampled` elements: which filter each is of, how many elements each
    filter has of those that have any, and which these are, where they are not all.
    """

    sampled: int
    owner: npt.NDArray[np.int64]
    elements: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64] | slice


class Filters:
    """Which output rows of a weight the fixed sample's elements belong to, and how many to each,
    worked out once.
    """

    def __init__(self) -> None:
        self._owners: dict[int, _Owners] = {}

    def dead_fraction(
        self, site: int, shape: tuple[int, ...], axis: int, row: Float32Array
    ) -> float | None:
        """The fraction of filters all of whose sampled weights are next to zero.

        Those of a weight of `shape` are along `axis`. None for fewer than four of them.
        """
        if len(shape) < 2 or not 0 <= axis < len(shape) or shape[axis] < _FEWEST_UNITS:
            return None
        known = self._owners.get(site)
        if known is None or known.sampled != len(row):
            owner = _filters_of(shape, axis, len(row))
            known = self._owners[site] = _owners(owner, len(row))
        if len(known.owner) != len(row):  # not the elements of `fixed_runs`
            return None
        power = np.bincount(known.owner, weights=np.multiply(row, row, dtype=np.float64))
        size = np.sqrt(power[known.seen] / known.elements)
        mean = float(np.add.reduce(size)) / len(size)
        if not math.isfinite(mean):
            return None
        # Half of them gone, the median is gone too: then the mean tells what is usual.
        usual = max(_median(size), mean / 10)
        return np.count_nonzero(size < NEGLIGIBLE * usual) / len(size) if usual > 0 else None


def _owners(owner: npt.NDArray[np.int64], count: int) -> _Owners:
    elements = np.bincount(owner)
    seen = np.flatnonzero(elements)
    every = slice(None) if len(seen) == len(elements) else seen
    return _Owners(count, owner, elements[seen], every)


def _median(values: npt.NDArray[np.float64]) -> float:
    """That of `numpy.median`, in a tenth of its time for a few values that are finite."""
    ordered, middle = np.sort(values), len(values) // 2
    return float(ordered[middle] if len(values) % 2 else ordered[middle - 1 : middle + 1].sum() / 2)


def _filters_of(shape: tuple[int, ...], axis: int, count: int) -> npt.NDArray[np.int64]:
    numel = math.prod(shape)
    if count >= numel:
        places = np.arange(count)
    else:
        runs, step = fixed_runs(shape, count)
        places = (np.arange(runs)[:, None] * step + np.arange(RUN)).reshape(-1)
    return places // math.prod(shape[axis + 1 :]) % shape[axis]
