"""Counts the examples of a validation that the model is trained on meanwhile, or was before.

An adapter gives hashes of some examples of a validation's first pass, under `example_hashes` of its
`evaluation` event. What is found is told when the same data is evaluated again, so that training on
something else afterwards, as of another fold, is not held against it. What a model had been trained
on before, since its first validation, is told at the first pass.
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


class _Watched:
    """Hashes of one data set's examples, and which of them training has seen."""

    def __init__(self, hashes: Sequence[int], model: Any, place: dict[str, Any]) -> None:
        self.model = model
        self.hashes: npt.NDArray[np.int64] = np.unique(np.asarray(hashes, np.int64))
        self.seen = np.zeros(len(self.hashes), bool)
        self.place = place
        self.told = 0


class TrainedOn:
    """The validations of a run whose examples are known by their hashes."""

    def __init__(self) -> None:
        self._watched: dict[Any, _Watched] = {}
        self._trained_before: set[int] = set()

    def look(
        self, batches: Iterable[BatchSample], events: Iterable[EventRecord]
    ) -> list[EventRecord]:
        """Follow what was recorded, in the order of its steps, and return what is to be told.

        Args:
            batches: those sampled.
            events: of any kind; those of a step precede its batch.
        """
        passes = [event for event in events if event.kind is EventKind.EVALUATION]
        if not passes and not self._watched:
            return []
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
        if batch.example_hashes is not None and self._watched:
            if len(self._trained_before) < _REMEMBERED:
                self._trained_before.update(batch.example_hashes.tolist())
            for watched in self._watched.values():
                watched.seen |= np.isin(watched.hashes, batch.example_hashes)

    def _evaluated(self, event: EventRecord) -> list[EventRecord]:
        payload = json.loads(event.payload)
        group = payload.get("group")
        hashes = payload.get("example_hashes")
        if hashes and len(self._watched) < _MOST:
            place = {key: payload.get(key) for key in ("group", "file", "line")}
            new = _Watched(hashes, payload.get("model"), place)
            is_known = any(one.model == new.model for one in self._watched.values())
            self._watched[group] = new
            before = sum(one in self._trained_before for one in new.hashes.tolist())
            return [_told(event, new, {"seen": 0, "before": before})] if is_known and before else []
        watched = self._watched.get(group)
        if watched is None or (count := int(watched.seen.sum())) <= watched.told:
            return []
        watched.told = count
        return [_told(event, watched, {"seen": count})]


def _told(event: EventRecord, watched: _Watched, counts: dict[str, int]) -> EventRecord:
    payload = {**watched.place, "examples": len(watched.hashes), **counts}
    kind = EventKind.TRAINED_ON
    return EventRecord(event.step, event.time_ns, kind, "info", None, json.dumps(payload))
