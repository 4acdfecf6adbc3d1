"""Collects the rows of `stats` from waiting samples, grouped by layout."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from nntrace.recorder.sample import NO_SITE, Float32Array, Layout, Sample, SiteSample

Int64Array = npt.NDArray[np.int64]


class Members(NamedTuple):
    """The rows of one layout: their numbers and values."""

    numbers: Int64Array
    values: list[Float32Array]


class _Spans(NamedTuple):
    """The rows of one layout in one sample: their numbers, where their values begin and end."""

    numbers: Int64Array
    spans: list[tuple[int, int]]


class _Plan(NamedTuple):
    """What the sites of a sample determine of its rows; the same in most samples of a run."""

    site: npt.NDArray[np.int32]
    size: npt.NDArray[np.int32]
    by_layout: dict[Layout, _Spans]


class Rows:
    """The rows of `stats` of some samples: step, site and size of each, values by layout."""

    def __init__(self, samples: Sequence[Sample]) -> None:
        plans = [_plan(sample.sites) for sample in samples]
        lengths = [len(plan.site) for plan in plans]
        steps = np.array([sample.step for sample in samples], dtype=np.int64)
        self.step = np.repeat(steps, lengths)
        self.site = np.concatenate([plan.site for plan in plans])
        self.size = np.concatenate([plan.size for plan in plans])
        numbers: dict[Layout, list[Int64Array]] = defaultdict(list)
        values: dict[Layout, list[Float32Array]] = defaultdict(list)
        first = 0
        for sample, plan, length in zip(samples, plans, lengths, strict=True):
            for layout, spans in plan.by_layout.items():
                numbers[layout].append(spans.numbers + first)
                values[layout] += [sample.values[start:end] for start, end in spans.spans]
            first += length
        self.by_layout = {
            layout: Members(np.concatenate(parts), values[layout])
            for layout, parts in numbers.items()
        }

    def holds_nan(self, number: int) -> bool:
        """Whether the values of a row include a NaN."""
        for members in self.by_layout.values():
            for place in np.flatnonzero(members.numbers == number):
                return bool(np.isnan(members.values[place]).any())
        return False


@lru_cache(maxsize=16)
def _plan(sites: tuple[SiteSample, ...]) -> _Plan:
    wanted = [part for part in sites if part.site != NO_SITE]
    numbers: dict[Layout, list[int]] = defaultdict(list)
    spans: dict[Layout, list[tuple[int, int]]] = defaultdict(list)
    sizes = [part.layout.size for part in wanted]
    for number, (part, size) in enumerate(zip(wanted, sizes, strict=True)):
        if size:
            numbers[part.layout].append(number)
            spans[part.layout].append((part.offset, part.offset + size))
    return _Plan(
        np.array([part.site for part in wanted], dtype=np.int32),
        np.array(sizes, dtype=np.int32),
        {layout: _Spans(np.array(numbers[layout]), spans[layout]) for layout in numbers},
    )
