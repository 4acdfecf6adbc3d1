"""Calls of training functions whose steps have not been read yet.

Reading the board and recording a step takes Python some 0.1 ms, which a training with steps of a
millisecond would notice. The board keeps the rows of many calls, and reading several at once costs
little more than one: if steps are fast and nothing happens, several calls pass before a look.
"""

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from nntrace_keras.graphs.board import Row

MOST_UNREAD = 32
_SHARE = 1 / 200  # the most of the elapsed time that looks may take
_LONGEST_NS = 100_000_000  # so that whoever watches the run sees it go on
NOT_GIVEN = (None, None)  # loss and batch size of a step, from outside of its function
_MOST_BYTES = 1 << 20  # of arguments and results: each unread call holds its own


class Call(NamedTuple):
    """A call of a training function that has returned.

    Attributes:
        inputs: its arguments.
        waited_ns: how long the program waited for data since the call before; None if unknown.
        ended_ns: when the call returned, by `time.perf_counter_ns`.
        given: loss and batch size of its step, if they were computed outside of it.
    """

    function: Any
    result: Any
    inputs: list[Any]
    waited_ns: int | None
    ended_ns: int
    given: tuple[float | None, int | None]


class Unread:
    """Collects calls, and decides when to look at what they did.

    Attributes:
        quiet: the function whose next call needs no preparation; None if there is no such one.
    """

    def __init__(self) -> None:
        self.quiet: Any = None
        self._calls: list[Call] = []
        self._most = self._patience = 1
        self._began_ns = 0
        self._thread = threading.current_thread()
        self._due_ns = 0
        self._cost_ns = 0

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def may_be_read(self) -> bool:
        """Whether this is the thread that makes the calls, or that thread has ended."""
        return self._thread is threading.current_thread() or not self._thread.is_alive()

    def add(
        self,
        function: Any,
        result: Any,
        inputs: list[Any],
        waited_ns: int | None = None,
        given: tuple[float | None, int | None] = NOT_GIVEN,
    ) -> bool:
        """Note a call that has returned; return whether to look now."""
        now = time.perf_counter_ns()
        self._thread = threading.current_thread()
        calls = self._calls
        calls.append(Call(function, result, inputs, waited_ns, now, given))
        if now < self._due_ns and len(calls) < self._most:
            if function is self.quiet:
                return False
            if is_plain(function):
                self.quiet = function
                return False
        self.quiet = None
        return True

    def take(self) -> list[Call]:
        """Begin a look: return the calls since the last one, oldest first."""
        calls, self._calls, self.quiet = self._calls, [], None
        self._began_ns = time.perf_counter_ns()
        return calls

    def looked(
        self, calls: Sequence[Call], rows: int, *, is_known_later: bool, room: int, is_quiet: bool
    ) -> None:
        """End a look, and decide how many calls may pass before the next one.

        Args:
            calls: what was looked at.
            rows: how many steps they made.
            is_known_later: whether the origin of a broken step can be found after later steps.
            room: how many calls may pass before another part needs them read.
            is_quiet: whether nothing happened in these calls, not even a sample.
        """
        now = time.perf_counter_ns()
        if is_quiet:
            cost = now - self._began_ns
            known = self._cost_ns or cost
            self._cost_ns = known * 9 // 8 if cost > known else known * 7 // 8  # about the median
        self._patience = min(2 * self._patience, MOST_UNREAD) if is_quiet else 1
        self._most = min(self._patience, room)
        self._due_ns = now + min(int(self._cost_ns / _SHARE), _LONGEST_NS)
        if len(calls) == 1 or rows != len(calls):
            one_each = len(calls) == rows and is_known_later
            for call in calls:
                held = [*call.inputs, *tf.nest.flatten(call.result, expand_composites=True)]
                waits = one_each and _bytes(held) <= _MOST_BYTES
                call.function.__dict__["_nntrace_is_plain"] = waits


def is_plain(function: Any) -> bool:
    """Whether each call of this function makes one step and can be read after later calls."""
    return bool(function.__dict__.get("_nntrace_is_plain"))


def shared_out(rows: Sequence[Row], calls: Sequence[Call]) -> list[Sequence[Row]]:
    """The rows of each call: one each, surplus rows to the first call, none to calls too many."""
    first = max(0, len(rows) - len(calls) + 1)
    missing = len(calls) - len(rows)
    one_each = [rows[n : n + 1] for n in range(first, len(rows))]
    return [*([()] * missing), *([rows[:first]] if first else []), *one_each]


def _bytes(values: Sequence[Any]) -> int:
    tensors = [value for value in values if isinstance(value, tf.Tensor)]
    tensors = [tensor for tensor in tensors if tensor.dtype not in (tf.resource, tf.variant)]
    return sum((tensor.shape.num_elements() or 0) * tensor.dtype.size for tensor in tensors)
