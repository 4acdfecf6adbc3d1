"""Finds validation examples that were trained on before, by the indices of parts of a data set.

Folds, and splits that are drawn anew, hold out of the present training what an earlier one was
given. Indices are read once for each loader, from a `Subset` or a `SubsetRandomSampler`.
"""

import weakref
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from torch.utils.data import Subset, SubsetRandomSampler

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.program.sources import caller

_MOST = 1 << 17  # indices of a part: more are not read
_MOST_BEFORE = 1 << 20  # of all parts that were trained on: 8 MiB
_FEWEST = 8  # examples of a validation


class Part(NamedTuple):
    """The examples of a data set that a loader draws from, in increasing order, and their hash."""

    dataset: weakref.ref[Any]
    indices: npt.NDArray[np.int64]
    mark: int

    def is_of(self, other: "Part") -> bool:
        """Whether both are of one data set."""
        return self.dataset() is other.dataset()


def part_of(loader: Any) -> Part | None:
    """The part that a loader draws from; None if that is the whole, or it does not say."""
    try:
        dataset, indices = _drawn_from(loader)
        if indices is None or not 0 < len(indices) <= _MOST:
            return None
        chosen = np.unique(np.asarray(indices))
        if chosen.dtype.kind in "iu" and chosen.ndim == 1:
            numbers = chosen.astype(np.int64)
            return Part(weakref.ref(dataset), numbers, hash(numbers.tobytes()))
    # Indices of the program's own kind, or on a GPU; a list, for one, allows no references.
    except (TypeError, ValueError, IndexError):
        pass
    return None


def _drawn_from(loader: Any) -> tuple[Any, Any]:
    """The whole data set of a loader, and the indices of it that it draws from, if known."""
    dataset, sampler = getattr(loader, "dataset", None), getattr(loader, "sampler", None)
    chosen: Any = sampler.indices if type(sampler) is SubsetRandomSampler else None
    while type(dataset) is Subset:
        if len(dataset.indices) > _MOST:
            return dataset, None
        chosen = dataset.indices if chosen is None else np.asarray(dataset.indices)[chosen]
        dataset = dataset.dataset
    return dataset, chosen


class FoldWatch:
    """Tells the first validation with examples that an earlier training had, and this one not."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._now: Part | None = None
        self._before: npt.NDArray[np.int64] | None = None  # all that earlier parts held
        self._since = 0
        self._trained: set[int] = set()  # the hash of each part
        self._is_done = False

    def trained(self, part: Part, since: int) -> None:
        """A pass over a part made steps, from this one on."""
        now, before = self._now, self._before
        if self._is_done or (now is not None and now.mark == part.mark):
            return
        self._trained.add(part.mark)
        if now is None or not now.is_of(part):
            self._before = None
        elif before is None:
            self._before = now.indices
        else:
            self._before = np.union1d(before, now.indices)
        self._now, self._since = part, since
        if self._before is not None and len(self._before) > _MOST_BEFORE:
            self._end()

    def evaluated(self, part: Part) -> None:
        """A pass over a part made no steps."""
        now, before, examples = self._now, self._before, len(part.indices)
        if now is None or before is None or examples < _FEWEST:
            return
        # What was a part to train on is measured again on purpose, as for what is forgotten.
        if not now.is_of(part) or part.mark in self._trained or _known(part, now.indices):
            return
        known = _known(part, before)
        if known:
            counts = {"examples": examples, "seen": 0, "before": known, "since": self._since}
            self._recorder.add_event(EventKind.TRAINED_ON, {"group": 0, **counts, **caller().place})
            self._end()

    def _end(self) -> None:
        self._is_done = True
        self._now = self._before = None
        self._trained.clear()


def _known(part: Part, indices: npt.NDArray[np.int64]) -> int:
    """How many of a part's examples are among these."""
    return int(np.isin(part.indices, indices, assume_unique=True).sum())
