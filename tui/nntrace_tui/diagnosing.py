"""Runs the rules beside the follower, so that a slow diagnosis delays no screen.

A diagnosis sees rows that no refresh changes. If the trace grows several times during a diagnosis,
only its newest state is diagnosed next. Other ranks than the shown one are read here, only for the
rules.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from nntrace.diagnosis import Diagnosis
from nntrace.errors import NntraceError
from nntrace.trace import Trace
from nntrace_tui.background import in_background
from nntrace_tui.pace import Pace

Diagnose = Callable[[Trace], Diagnosis]


class Diagnosing:
    """The newest diagnosis of a trace that may grow.

    Args:
        diagnose: makes the diagnosis.
        pace: how often.
        done: called from another thread when there is a new result.
    """

    def __init__(self, diagnose: Diagnose, pace: Pace, done: Callable[[], None]) -> None:
        self._diagnose = diagnose
        self._pace = pace
        self._done = done
        self._lock = threading.Lock()
        self._trace: Trace | None = None
        self._is_stale = True
        self._is_busy = False
        self._next = 0.0
        self._others: dict[int, Trace] = {}
        self._result: Diagnosis | None = None
        self._error: Exception | None = None

    def news(self) -> None:
        """Note that the trace has grown."""
        self._is_stale = True

    def forget(self) -> None:
        """Forget the trace, as another one takes its place."""
        with self._lock:
            self._trace, self._result, self._error = None, None, None
            self._others = {}
            self._is_stale = True
            self._next = 0.0

    def result(self, trace: Trace, *, at_once: bool) -> Diagnosis | None:
        """The newest diagnosis; starts another if one is due, or news came and `at_once`.

        Raises:
            Exception: the one with which the last diagnosis failed.
        """
        with self._lock:
            self._trace = trace
            if self._error is not None:
                error, self._error = self._error, None
                raise error
            due = at_once or time.monotonic() >= self._next
            if self._is_stale and not self._is_busy and due:
                self._is_stale, self._is_busy = False, True
                in_background(self._work, trace, trace.frozen(), name="nntrace-rules").start()
            return self._result

    def _other_ranks(self, rows: Trace) -> list[Trace]:
        """The other ranks as they are now; the rules themselves report one that cannot be read."""
        others, read = self._others, []
        numbers = [rank for rank in rows.ranks if rank != rows.rank]
        for rank in numbers:
            with suppress(NntraceError):
                if rank in others:
                    others[rank].refresh()
                else:
                    most = self._pace.rows // len(numbers)
                    others[rank] = Trace.open(rows.path or "", rank=rank, most_rows=most)
                read.append(others[rank])
        return read

    def _work(self, trace: Trace, rows: Trace) -> None:
        began = time.thread_time()
        result: Diagnosis | None = None
        error: Exception | None = None
        try:
            result = self._diagnose(rows.frozen(self._other_ranks(rows)))
        except Exception as failure:  # shown as a problem beside the run
            error = failure
        spent = time.thread_time() - began
        with self._lock:
            self._is_busy = False
            if trace is self._trace:
                self._result, self._error = result or self._result, error
                self._next = time.monotonic() + max(self._pace.diagnosis, spent / self._pace.share)
        self._done()
