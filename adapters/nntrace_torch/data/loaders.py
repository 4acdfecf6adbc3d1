"""Watches data loaders.

Recorded are the time training waits for batches, the sizes of data set and batches, and what each
pass over a loader (an epoch) delivered, in which order.
"""

import time
import weakref
import zlib
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, default_collate
from torch.utils.data import dataloader as loader_module

from nntrace.adapter import DRAWS_FROM, DataSource
from nntrace.recorder import Recorder, is_recorded
from nntrace.schema import EventKind
from nntrace_torch.data.folds import FoldWatch, Part, part_of
from nntrace_torch.data.loader_facts import examples_of, facts_of, ranges_in
from nntrace_torch.patching import Undo, after, before, wrap
from nntrace_torch.program.sources import caller

_KEPT_BATCHES = 4


@dataclass(slots=True)
class _Pass:
    """One iteration over a loader.

    `order` is a checksum of the indices drawn; None for a stream, which has no indices.
    `part` is what of its data set it draws from, where that is not the whole.
    `evaluates` is true while all of its batches were fetched with gradients off, and of one that
    delivered all it has, whereupon another loader went on, and no step was made. `for_nothing`:
    models had been called in training mode with gradients on when it ended, and nothing came of it.
    """

    number: int  # counted over all loaders of this process
    loader: int
    epoch: int
    first_step: int
    part: Part | None = None
    batches: int = 0
    examples: int | None = 0
    order: int | None = 0
    evaluates: bool = True
    for_nothing: bool = False


@dataclass(slots=True)
class _Loader:
    """A loader that was iterated: its number, and how many passes were begun.

    A loader that is built anew for each pass, over the same data set (`dataset`, and `key` in it)
    and with the same settings (`facts`), takes over the record of the one before.
    """

    reference: weakref.ref[Any]
    number: int
    dataset: weakref.ref[Any] | None
    key: Hashable
    facts: dict[str, Any]
    part: Part | None = None
    passes: int = 0
    current: _Pass | None = None

    @property
    def has_delivered_all(self) -> bool:
        """Whether the current pass has delivered as many batches as there are."""
        return self.current is not None and self.current.batches == self.facts["batches"]

    @property
    def may_go_on(self) -> bool:
        """Whether the loader still exists, or may be built anew over its data set."""
        has_data = self.dataset is not None and self.dataset() is not None
        return self.reference() is not None or has_data


class LoaderObserver:
    """Measures the wait for batches, and records each loader and each pass over one.

    Attributes:
        wait_ns: nanoseconds waited for batches since the last step.
        is_sampled: says whether the current step is sampled.
        are_for_nothing: says whether models were called in training mode since the last step, with
            gradients on and without a backward pass.
        batches: the last few batches, oldest first, those that the program fetches ahead included;
            empty unless `keeps_batches`.
    """

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._loaders: list[_Loader] = []
        self._count = 0
        self._passes = 0
        self._running: dict[int, tuple[weakref.ref[Any], _Pass]] = {}
        self._beginning: _Pass | None = None
        self._delivered: _Pass | None = None
        self._last: _Pass | None = None  # as `_delivered`, whatever the step
        self._ranges: tuple[tuple[float, float], ...] | None = None
        self.is_sampled: Callable[[], bool] = lambda: False
        self.are_for_nothing: Callable[[], bool] = lambda: False
        self.wait_ns = 0
        self.batches: deque[Any] = deque(maxlen=_KEPT_BATCHES)
        self._keeps_batches = False
        self._folds = FoldWatch(recorder)
        self._on_batch = recorder.guard(self._deliver)
        self._on_end = recorder.guard(self._end)

    def install(self) -> list[Undo]:
        """Watch every `DataLoader`."""
        guard = self._recorder.guard
        return [
            before(DataLoader, "__iter__", guard(self._begins)),
            after(DataLoader, "__iter__", guard(self._has_begun)),
            after(loader_module._BaseDataLoaderIter, "_next_index", guard(self._drawn)),
            wrap(loader_module._BaseDataLoaderIter, "__next__", self._timed),
        ]

    @property
    def keeps_batches(self) -> bool:
        """Whether references to the last batches are kept."""
        return self._keeps_batches

    @keeps_batches.setter
    def keeps_batches(self, keeps: bool) -> None:
        self._keeps_batches = keeps
        if not keeps:
            self.batches.clear()

    def take_wait_ns(self) -> int:
        """Return the wait in the step that is over, in nanoseconds, and start counting anew."""
        waited, self.wait_ns = self.wait_ns, 0
        self._delivered = None
        return waited

    @property
    def epoch(self) -> int | None:
        """The number of the pass that delivered the last batch in this step; None without one."""
        return None if self._delivered is None else self._delivered.number

    @property
    def loader(self) -> int | None:
        """The number of the loader that delivered the last batch in this step; None without one."""
        return None if self._delivered is None else self._delivered.loader

    @property
    def shuffled_batches(self) -> int | None:
        """The number of batches so far in the pass that delivered this step's last batch.

        None without a batch, and if the loader does not shuffle.
        """
        found = self._delivered
        return found.batches if found and self._facts.get("shuffle") else None

    @property
    def is_held_out(self) -> bool:
        """Whether the last batch is of data that are said not to be trained on."""
        return bool(self._facts.get("held_out"))

    @property
    def _facts(self) -> dict[str, Any]:
        """Those of the loader that delivered this step's last batch; none without one."""
        number = self.loader
        return next((one.facts for one in self._loaders if one.number == number), {})

    def delivers(self, examples: int | None) -> bool:
        """Whether the last batch came out of a loader, and one makes batches of that size."""
        living = [one.reference() for one in self._loaders]
        sizes = {loader.batch_size for loader in living if loader is not None}
        return self._delivered is not None and examples is not None and examples in sizes

    @property
    def stacks(self) -> bool:
        """Whether the last batch was put together by PyTorch, examples along the first axis."""
        found = self._delivered
        loader = next((one for one in self._loaders if found and one.number == found.loader), None)
        return getattr(loader and loader.reference(), "collate_fn", None) is default_collate

    def delivered(self) -> tuple[tuple[float, float], ...] | None:
        """The (minimum, maximum) of each small tensor in the last batch of this step.

        None without a batch, and when the step was not sampled.
        """
        return None if self._delivered is None else self._ranges

    def _timed(self, original: Any) -> Any:
        def wrapper(iterator: Any) -> Any:
            self._recorder.training_begins()
            started = time.perf_counter_ns()
            try:
                batch = original(iterator)
            except StopIteration:
                self._on_end(iterator)
                raise
            finally:
                self.wait_ns += time.perf_counter_ns() - started
            if self._keeps_batches:
                self.batches.append(batch)
            self._on_batch(iterator, batch)
            return batch

        return wrapper

    def _begins(self, loader: Any) -> None:
        """A pass begins; an earlier one that was not asked for its end is recorded.

        Lightning knows how many batches there are and asks for no more: such a pass is complete.
        """
        known = next((one for one in self._loaders if one.reference() is loader), None)
        if known is None:
            known = self._announce(loader)
            known.part = part_of(loader)
        last = known.current
        if last is not None and last.batches:
            self._record(last, complete=known.has_delivered_all)
        if last is None or last.batches:
            number, epoch = self._passes, known.passes
            known.passes += 1
            self._passes += 1
        else:  # nothing was drawn: Keras begins a pass at the end of the one before
            number, epoch = last.number, last.epoch
        known.current = _Pass(number, known.number, epoch, self._recorder.steps_made(), known.part)
        # With workers the first indices are drawn before the iterator is known.
        self._beginning = known.current

    def finish(self) -> None:
        """Record the last passes that delivered all there is and were not asked for their end."""
        for known in self._loaders:
            if known.current is not None and known.has_delivered_all:
                self._record(known.current, complete=True)
                known.current = None

    def _has_begun(self, iterator: Any, loader: Any) -> None:
        begun, self._beginning = self._beginning, None
        if begun is not None:
            gone = [key for key, (reference, _) in self._running.items() if reference() is None]
            for key in gone:
                del self._running[key]
            self._running[id(iterator)] = weakref.ref(iterator), begun

    def _pass_of(self, iterator: Any) -> _Pass | None:
        reference, found = self._running.get(id(iterator), (None, None))
        return found if reference is not None and reference() is iterator else None

    def _drawn(self, indices: Any, iterator: Any) -> None:
        """Add the data set's indices of one batch, drawn in the training process, to `order`."""
        found = self._beginning or self._pass_of(iterator)
        if found is None or found.order is None:
            return
        try:
            drawn = np.asarray(indices, dtype=np.int64)
        except (TypeError, ValueError, OverflowError):  # a stream, or keys that are no numbers
            found.order = None
            return
        found.order = zlib.crc32(drawn.tobytes(), found.order)

    def _deliver(self, iterator: Any, batch: Any) -> None:
        found = self._pass_of(iterator)
        if found is None:
            return
        self._delivered = found
        if found is not self._last:
            self._turned_from(self._last)
            self._last = found
        self._ranges = None
        if self.is_sampled() and not self._is_of_framework(found):
            self._ranges = tuple(ranges_in(batch))
        found.batches += 1
        found.evaluates &= not torch.is_grad_enabled()
        size = examples_of(batch)
        found.examples = None if found.examples is None or size is None else found.examples + size

    def _is_of_framework(self, found: _Pass) -> bool:
        """Whether the loader is one for arrays, whose targets may be the program's own making."""
        return any(known.current is found and known.key is not None for known in self._loaders)

    def _turned_from(self, last: _Pass | None) -> None:
        """Another loader delivers than the one of this pass, which may not be asked for its end."""
        if last is not None and last.first_step == self._recorder.steps_made():
            for known in self._loaders:
                last.evaluates |= known.current is last and known.has_delivered_all

    def _end(self, iterator: Any) -> None:
        found = self._pass_of(iterator)
        if found is not None:
            del self._running[id(iterator)]
            found.for_nothing = not found.evaluates and self.are_for_nothing()
            self._record(found, complete=True)
            for known in self._loaders:
                if known.current is found:
                    known.current = None

    def _record(self, found: _Pass, *, complete: bool) -> None:
        if found.part is not None and found.batches:
            if found.evaluates or self._recorder.steps_made() == found.first_step:
                self._folds.evaluated(found.part)
            else:
                self._folds.trained(found.part, found.first_step)
        if not is_recorded(found.epoch):
            return
        payload = {
            "loader": found.loader,
            "epoch": found.epoch,
            "batches": found.batches,
            "examples": found.examples,
            "complete": complete,
            # A pass that was broken off is only known to be over when the next one begins.
            "steps": 0 if found.evaluates else self._recorder.steps_made() - found.first_step,
            "order": found.order,
            "for_nothing": found.for_nothing,
        }
        self._recorder.add_event(EventKind.EPOCH, payload)

    def _announce(self, loader: Any) -> _Loader:
        dataset = getattr(loader, "dataset", None)
        source = getattr(loader, DRAWS_FROM, DataSource(dataset, None, {}))
        facts, key = facts_of(loader) | source.facts, source.key
        for gone in self._loaders:
            is_gone = gone.reference() is None and _is_of(gone.dataset, source.owner)
            if is_gone and (gone.key, gone.facts) == (key, facts):
                gone.reference = weakref.ref(loader)
                return gone
        self._loaders = [one for one in self._loaders if one.may_go_on]
        owner = _reference(source.owner)
        known = _Loader(weakref.ref(loader), self._count, owner, key, facts)
        self._loaders.append(known)
        self._count += 1
        for holder in (dataset, loader.collate_fn):
            self._recorder.tokens.look_in(holder)
        payload = {"loader": known.number, **facts, **caller().place}
        self._recorder.add_event(EventKind.LOADER, payload)
        return known


def _reference(dataset: Any) -> weakref.ref[Any] | None:
    """A weak reference; None for objects that allow none, such as a list."""
    try:
        return weakref.ref(dataset)
    except TypeError:
        return None


def _is_of(reference: weakref.ref[Any] | None, dataset: Any) -> bool:
    return reference is not None and dataset is not None and reference() is dataset
