"""Watches data loaders: how long training waits for them, how large data set and batches are."""

import time
import weakref
from typing import Any

import torch
from torch.utils.data import DataLoader, IterableDataset
from torch.utils.data import dataloader as loader_module

from nntrace.recorder import Recorder
from nntrace.schema import EventKind
from nntrace_torch.patching import Undo, before, wrap


class LoaderObserver:
    """Measures the wait for batches; `take_wait_ns` gives and resets it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._known: dict[int, weakref.ref[Any]] = {}
        self._wait_ns = 0

    def install(self) -> list[Undo]:
        """Watch every `DataLoader`."""
        return [
            before(DataLoader, "__iter__", self._recorder.guard(self._begins)),
            wrap(loader_module._BaseDataLoaderIter, "__next__", self._timed),
        ]

    def take_wait_ns(self) -> int:
        """Nanoseconds waited since the last call."""
        waited, self._wait_ns = self._wait_ns, 0
        return waited

    def _timed(self, original: Any) -> Any:
        def wrapper(iterator: Any) -> Any:
            self._recorder.training_begins()
            started = time.perf_counter_ns()
            try:
                return original(iterator)
            finally:
                self._wait_ns += time.perf_counter_ns() - started

        return wrapper

    def _begins(self, loader: Any) -> None:
        known = self._known.get(id(loader))
        if known is not None and known() is loader:
            return
        self._known[id(loader)] = weakref.ref(loader)
        sampler = getattr(loader, "sampler", None)
        payload = {
            "dataset_size": _length(getattr(loader, "dataset", None)),
            "batch_size": loader.batch_size,
            "batches": _number_of_batches(loader),
            "shuffle": isinstance(sampler, torch.utils.data.RandomSampler),
            "sampler": type(sampler).__name__,
            "workers": loader.num_workers,
        }
        self._recorder.add_event(EventKind.LOADER, payload)


def _number_of_batches(loader: Any) -> int | None:
    """None for a stream: `len(loader)` would make PyTorch warn where it did not before."""
    if isinstance(getattr(loader, "dataset", None), IterableDataset):
        return None
    return _length(loader)


def _length(sized: Any) -> int | None:
    """`len`, or None for what has none; a user's `__len__` may raise anything."""
    try:
        return len(sized)
    except Exception:
        return None
