"""How long training waits for its data.

For a program that draws elements itself, the time to get the next element of a `tf.data` iterator
is measured. A function that draws its data waits inside: TensorFlow records the times between an
iterator's elements, in which training worked, and the rest of the steps' time was spent waiting.
Asking for those times costs some 50 µs, and is done now and then.
"""

import threading
import time
import weakref
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf
from tensorflow.core.framework.model_pb2 import ModelProto
from tensorflow.python.data.ops.iterator_ops import OwnedIterator
from tensorflow.python.eager import context
from tensorflow.python.ops.gen_experimental_dataset_ops import iterator_get_model_proto

from nntrace_keras.graphs.unread import Call
from nntrace_keras.patching import Guard, Undo, after, wrap

_SHARE = 1 / 1000  # the most of the elapsed time that asking may take
_LONGEST_NS = 100_000_000  # between two questions, since the first one takes long


class DataWaits:
    """Watches the iterators of `tf.data`."""

    def __init__(self, guard: Guard) -> None:
        self._note = guard(self._made)
        self._iterators: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()
        self._thread = threading.get_ident()
        self._waited_ns: int | None = None
        self._ended_ns: int | None = None
        self._due_ns = 0

    def install(self) -> list[Undo]:
        """Watch the creation of iterators, and their next elements."""
        return [
            after(OwnedIterator, "_create_iterator", self._note),
            wrap(OwnedIterator, "_next_internal", self._around_next),
        ]

    def take(self) -> int | None:
        """The time (ns) that the program has waited since the last call; None if it never did."""
        waited = self._waited_ns
        if waited is not None:
            self._waited_ns = 0
        return waited

    def inside(self, calls: Sequence[Call], steps: int) -> int | None:
        """How long (ns) each step of calls of functions waited inside; None if unknown."""
        ended = calls[-1].ended_ns
        before, self._ended_ns = self._ended_ns, ended
        resource = next((i for i in calls[-1].inputs if id(i) in self._iterators), None)
        if before is None or resource is None or not steps or ended < self._due_ns:
            return None
        started = time.perf_counter_ns()
        worked = _between_elements(resource)
        now = time.perf_counter_ns()
        self._due_ns = now + min(int((now - started) / _SHARE), _LONGEST_NS)
        if len(worked) < steps:  # the iterator is new
            return None
        return max(0, ended - before - 1000 * sum(worked[-steps:])) // steps

    def _made(self, _: None, iterator: Any, *args: Any) -> None:
        if context.executing_eagerly():
            self._iterators[id(iterator._iterator_resource)] = iterator

    def _around_next(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def _next_internal(iterator: Any) -> Any:
            if not context.executing_eagerly() or threading.get_ident() != self._thread:
                return original(iterator)
            started = time.perf_counter_ns()
            element = original(iterator)
            self._waited_ns = (self._waited_ns or 0) + time.perf_counter_ns() - started
            return element

        return _next_internal


def _between_elements(resource: Any) -> Sequence[int]:
    """The times (µs) between an iterator's last elements that TensorFlow has recorded."""
    try:
        serialised = iterator_get_model_proto(resource).numpy()
    except tf.errors.OpError:  # nothing is recorded if tuning is off
        return ()
    times: Sequence[int] = ModelProto.FromString(serialised).gap_times
    return times
