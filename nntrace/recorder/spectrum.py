"""The effective rank of a layer's outputs and the dead fraction of its filters.

They cost more than the other statistics and change slowly, so only every fourth sample has them.
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
    """Picks the samples to look at closely: each site's first, and every fourth from then on."""

    def __init__(self) -> None:
        self._seen: Counter[int] = Counter()

    def next(self, site: int) -> bool:
        """Whether this sample of the site is looked at closely."""
        self._seen[site] += 1
        return self._seen[site] % _EVERY == 1


def effective_rank(values: Float32Array, layout: Layout) -> float | None:
    """The participation ratio (Σλ)² / Σλ² of the units' covariance over examples and positions.

    It is 1 when all examples lie on a line, and at most the smaller of rows − 1 and units. None
    where the sample is too small or not finite, or nothing varies. Source: Gao et al. 2017.
    """
    rows, units = layout.examples * layout.positions, layout.units
    if rows < _FEWEST_ROWS or not _FEWEST_UNITS <= units <= _MOST_UNITS:
        return None
    matrix = values.reshape(rows, units)
    centred = matrix - np.add.reduce(matrix, axis=0) / np.float32(rows)
    largest = max(float(centred.max()), -float(centred.min()))
    if not np.isfinite(largest) or largest <= 0:
        return None
    centred /= np.float32(largest)
    gram = centred @ centred.T if rows < units else centred.T @ centred
    total = float(gram.diagonal().sum())
    return total**2 / float(np.vdot(gram, gram)) if total > 0 else None


class _Owners(NamedTuple):
    """How the sampled elements of one weight are spread over its filters.

    Attributes:
        sampled: the number of sampled elements.
        owner: [sampled], the filter of each element.
        elements: the number of sampled elements of each filter that has any.
        seen: which filters have any; a full slice where all have.
    """

    sampled: int
    owner: npt.NDArray[np.int64]
    elements: npt.NDArray[np.int64]
    seen: npt.NDArray[np.int64] | slice


class Filters:
    """Judges the filters of weights; how a weight's sample maps to filters is worked out once."""

    def __init__(self) -> None:
        self._owners: dict[int, _Owners] = {}

    def dead_fraction(
        self, site: int, shape: tuple[int, ...], axis: int, values: Float32Array
    ) -> float | None:
        """The fraction of filters whose sampled weights are all close to zero.

        None for a weight with fewer than four filters or fewer than two axes, and where the sample
        is not finite.

        Args:
            site: the site's id.
            shape: the shape of the weight.
            axis: the axis along which its filters lie.
            values: its sampled elements, those of `fixed_runs`.
        """
        if len(shape) < 2 or not 0 <= axis < len(shape) or shape[axis] < _FEWEST_UNITS:
            return None
        known = self._owners.get(site)
        if known is None or known.sampled != len(values):
            owner = _filters_of(shape, axis, len(values))
            known = self._owners[site] = _owners(owner, len(values))
        if len(known.owner) != len(values):  # not the elements of `fixed_runs`
            return None
        power = np.bincount(known.owner, weights=np.multiply(values, values, dtype=np.float64))
        size = np.sqrt(power[known.seen] / known.elements)
        mean = float(np.add.reduce(size)) / len(size)
        if not math.isfinite(mean):
            return None
        # With half of the filters dead the median is zero, too: then the mean sets the scale.
        usual = max(_median(size), mean / 10)
        return np.count_nonzero(size < NEGLIGIBLE * usual) / len(size) if usual > 0 else None


def _owners(owner: npt.NDArray[np.int64], count: int) -> _Owners:
    elements = np.bincount(owner)
    seen = np.flatnonzero(elements)
    every = slice(None) if len(seen) == len(elements) else seen
    return _Owners(count, owner, elements[seen], every)


def _median(values: npt.NDArray[np.float64]) -> float:
    """As `numpy.median`, in a tenth of its time for a few finite values."""
    ordered, middle = np.sort(values), len(values) // 2
    return float(ordered[middle] if len(values) % 2 else ordered[middle - 1 : middle + 1].sum() / 2)


def _filters_of(shape: tuple[int, ...], axis: int, count: int) -> npt.NDArray[np.int64]:
    """The filter of each of `count` sampled elements."""
    numel = math.prod(shape)
    if count >= numel:
        places = np.arange(count)
    else:
        runs, step = fixed_runs(shape, count)
        places = (np.arange(runs)[:, None] * step + np.arange(RUN)).reshape(-1)
    return places // math.prod(shape[axis + 1 :]) % shape[axis]
