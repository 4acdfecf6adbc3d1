"""Counts the examples of a validation that the model is trained on meanwhile, or was before.

An adapter gives hashes of some examples of a validation's first pass, under `example_hashes` of its
`evaluation` event. What is found is told when the same data is evaluated again, so that training on
something else afterwards, as of another fold, is not held against it. What a model had been trained
on before, since its first validation, is told at the first pass.

Of most evaluations nobody says that their data is held out: many measure the training data, and
mean to. For these it is told, too, how many examples training has met.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from nntrace.recorder.records import EventRecord
from nntrace.recorder.sample import BatchSample
from nntrace.schema import EventKind

_MOST: Final = 8  # data sets
_REMEMBERED: Final = 1 << 16  # examples
_MORE: Final = 1.1  # times the examples met until it is told that no more of a validation were


class _Watched:
    """Hashes of one data set's examples, and which of them training has seen."""

    def __init__(self, payload: dict[str, Any]) -> None:
        self.hashes = _distinct(payload["example_hashes"])
        self._were_seen = np.zeros(len(self.hashes), bool)
        self.model = payload.get("model")
        self.place = {key: payload.get(key) for key in ("group", "file", "line")}
        self.is_held_out = bool(payload.get("is_held_out"))
        self.examples = payload.get("examples")
        self.met = 0  # examples of sampled batches
        self.told = (0, 0)  # `seen` and `met`

    @property
    def seen(self) -> int:
        """How many of the examples were in sampled batches."""
        return int(self._were_seen.sum())

    @property
    def has_news(self) -> bool:
        """Whether more was seen than was told, or whether what was not seen says more than then."""
        seen, met = self.told
        return self.seen > seen or (not self.is_held_out and self.met >= _MORE * met > 0)

    def is_of(self, hashes: Sequence[int]) -> bool:
        """Whether these are the examples of the same data."""
        return np.array_equal(self.hashes, _distinct(hashes))

    def train(self, hashes: npt.NDArray[np.int64], met: int) -> None:
        """Note the hashes of `met` examples of sampled batches."""
        self.met += met
        self._were_seen |= np.isin(self.hashes, hashes)


class TrainedOn:
    """The validations of a run whose examples are known by their hashes."""

    def __init__(self) -> None:
        self._watched: dict[Any, _Watched] = {}
        self._trained_before: set[int] = set()
        self._met = 0  # examples, until no more are remembered

    def look(
        self, batches: Iterable[BatchSample], events: Iterable[EventRecord]
    ) -> list[EventRecord]:
        """Follow what was recorded, in the order of its steps, and return what is to be told.

        Args:
            batches: those sampled.
            events: of any kind; those of a step precede its batch.
        """
        passes = [event for event in events if event.kind is EventKind.EVALUATION]
        found: list[EventRecord] = []
        order: list[tuple[int, int, EventRecord | BatchSample]] = [
            *((event.step, 0, event) for event in passes),
            *((batch.step, 1, batch) for batch in batches),
        ]
        for _, _, one in sorted(order, key=lambda item: item[:2]):
            if isinstance(one, EventRecord):
                found += self._evaluated(one)
            else:
                self._trained(one)
        return found

    def _trained(self, batch: BatchSample) -> None:
        hashes = batch.example_hashes
        if hashes is None:
            return
        is_remembered = len(self._trained_before) < _REMEMBERED
        if is_remembered:
            self._trained_before.update(hashes.tolist())
            self._met += len(hashes)
        for watched in self._watched.values():
            # The others are judged by how many of the examples that were met are different ones.
            if is_remembered or watched.is_held_out:
                watched.train(hashes, len(hashes))

    def _evaluated(self, event: EventRecord) -> list[EventRecord]:
        payload = json.loads(event.payload)
        group, hashes = payload.get("group"), payload.get("example_hashes")
        watched = self._watched.get(group)
        if hashes and (watched is None or not watched.is_of(hashes)):
            return self._watch(event, payload)
        if watched is None or not watched.has_news:
            return []
        return [self._told(event, watched)]

    def _watch(self, event: EventRecord, payload: dict[str, Any]) -> list[EventRecord]:
        """Follow the examples of a pass over data that is new, or not what it was."""
        group, model = payload.get("group"), payload.get("model")
        if group not in self._watched and len(self._watched) >= _MOST:
            return []
        is_known = any(one.model == model for one in self._watched.values())
        new = _Watched(payload)
        if not self._watched and new.is_held_out:
            self._trained_before.clear()
        elif not self._watched:  # the first epoch counts, of which most steps are sampled
            new.train(np.fromiter(self._trained_before, np.int64), self._met)
        self._watched[group] = new
        before = sum(one in self._trained_before for one in new.hashes.tolist())
        if not (new.is_held_out and is_known and before):
            return []
        return [
            _event(event, {**new.place, "examples": len(new.hashes), "seen": 0, "before": before})
        ]

    def _told(self, event: EventRecord, watched: _Watched) -> EventRecord:
        watched.told = watched.seen, watched.met
        payload = {**watched.place, "examples": len(watched.hashes), "seen": watched.seen}
        if not watched.is_held_out:
            trained = len(self._trained_before)
            payload |= {"of": watched.examples, "met": watched.met, "trained": trained}
        return _event(event, payload)


def _distinct(hashes: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.unique(np.asarray(hashes, np.int64))


def _event(at: EventRecord, payload: dict[str, Any]) -> EventRecord:
    kind = EventKind.TRAINED_ON
    return EventRecord(at.step, at.time_ns, kind, "info", None, json.dumps(payload))
