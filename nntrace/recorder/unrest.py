"""Notices during a run that something has begun to happen: a reason to sample more closely.

This does not judge the run; that is the work of the rules, on the whole trace.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

_SETTLED: Final = 10  # values before a level is known
_FORGETTING: Final = 0.1
_SPIKE: Final = 10.0  # mean absolute deviations
_BAND: Final = math.log(10.0)  # a standard deviation ten times what it was, or a tenth


class LossLevel:
    """The running level of the loss; recognises a value far above it."""

    def __init__(self) -> None:
        self._level = 0.0
        self._deviation = 0.0
        self._seen = 0

    @property
    def highest(self) -> float:
        """The highest loss that would not be a spike."""
        if self._seen < 2 * _SETTLED:
            return math.inf
        return self._level + _SPIKE * self._deviation + 1e-3 * abs(self._level)

    def follow(self, losses: Iterable[float]) -> None:
        """Take in losses none of which is a spike; the effect is that of `leaves` on each."""
        for loss in losses:
            off = loss - self._level
            seen = self._seen = self._seen + 1
            weight = _FORGETTING if seen * _FORGETTING > 1 else 1.0 / seen
            self._level += weight * off
            if seen > 1:
                self._deviation += weight * (abs(off) - self._deviation)

    def leaves(self, loss: float) -> bool:
        """Take in one loss and return whether it is a spike; a non-finite one is ignored."""
        if not math.isfinite(loss):
            return False
        seen = self._seen = self._seen + 1
        off = loss - self._level
        # A plain mean at first. A spike moves the level little, so that the next one is noticed.
        weight = _FORGETTING if seen * _FORGETTING > 1 else 1.0 / seen
        furthest = _SPIKE * self._deviation
        if off > furthest and seen > 2 * _SETTLED and off > furthest + 1e-3 * abs(self._level):
            self._level += weight * furthest
            return True
        self._level += weight * off
        if seen > 1:
            self._deviation += weight * (abs(off) - self._deviation)
        return False


class SiteLevels:
    """The running scale of every site's values; recognises sites that leave a band around it."""

    def __init__(self) -> None:
        self._level = np.zeros(0)
        self._seen = np.zeros(0, dtype=np.int64)

    def leave(
        self, sites: Sequence[int] | npt.NDArray[np.integer], std: npt.NDArray[np.floating]
    ) -> npt.NDArray[np.int64]:
        """Take in sites' standard deviations at one step and return the sites that left their band.

        Sites without spread (a bias before its first update) have no scale and are left out.
        """
        with np.errstate(all="ignore"):
            scale = np.log(np.asarray(std, dtype=np.float64))
        known = np.isfinite(scale)
        site, scale = np.asarray(sites, dtype=np.int64)[known], scale[known]
        if not len(site):
            return site
        if site.max() >= len(self._level):
            room = int(site.max()) + 1 - len(self._level)
            self._level = np.pad(self._level, (0, room))
            self._seen = np.pad(self._seen, (0, room))
        off = scale - self._level[site]
        left = (self._seen[site] >= _SETTLED) & (np.abs(off) > _BAND)
        self._seen[site] += 1
        self._seen[site[left]] = 0  # the level is learnt anew
        self._level[site] += off * np.maximum(_FORGETTING, 1.0 / np.maximum(self._seen[site], 1))
        return site[left]
