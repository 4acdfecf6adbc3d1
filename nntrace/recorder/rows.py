"""The rows of `stats` in the making: what the samples that wait hold, grouped by layout."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from nntrace.recorder.sample import NO_SITE, Float32Array, Layout, Sample


class Members:
    """The rows of one layout: their numbers and values."""

    __slots__ = ("numbers", "values")

    def __init__(self) -> None:
        self.numbers: list[int] = []
        self.values: list[Float32Array] = []


class Rows:
    """The rows of `stats` in the making: step, site and size of each, values by layout."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        lengths: list[int] = []
        self.by_layout: dict[Layout, Members] = defaultdict(Members)
        sites: list[int] = []
        sizes: list[int] = []
        for sample in samples:
            values = sample.values
            before = len(sites)
            for site, offset, layout in sample.sites:
                if site == NO_SITE:
                    continue
                size = layout.size
                if size:
                    members = self.by_layout[layout]
                    members.numbers.append(len(sites))
                    members.values.append(values[offset : offset + size])
                sites.append(site)
                sizes.append(size)
            lengths.append(len(sites) - before)
        self.step = np.repeat(np.array([s.step for s in samples], dtype=np.int64), lengths)
        self.site = np.array(sites, dtype=np.int32)
        self.size = np.array(sizes, dtype=np.int32)

    def holds_nan(self, number: int) -> bool:
        """Whether there is a NaN, not only infinities, among the values of a row."""
        for members in self.by_layout.values():
            if number in members.numbers:
                return bool(np.isnan(members.values[members.numbers.index(number)]).any())
        return False
