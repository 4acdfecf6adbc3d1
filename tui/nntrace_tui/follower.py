"""Follows a run folder in a thread and posts what it sees; it never writes, waits for, or signals
the run.

Updates are replaceable: a terminal that is slower than the run shows the newest one and drops the
others. Whatever is wrong with the folder becomes a sentence beside the last good state.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from textual.message import Message

from nntrace.diagnosis import Diagnosis, diagnose
from nntrace.errors import NntraceError
from nntrace.trace import Trace
from nntrace_tui.snapshot import Snapshot, snapshot

# A diagnosis may take at most this share of the follower's time, however long the run.
_DIAGNOSIS_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between two looks at the folder, and the least between two diagnoses."""

    running: float = 1.0
    idle: float = 5.0
    diagnosis: float = 3.0


class Update(Message):
    """The newest state of the run; `problem` says why it could not be brought up to date."""

    bubble = False

    def __init__(self, snapshot: Snapshot | None, problem: str | None) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.problem = problem

    def can_replace(self, message: Message) -> bool:
        """A newer update makes an older one worthless."""
        return isinstance(message, Update)


class Follower:
    """Calls `post` from its own thread with an `Update` whenever there is something new."""

    def __init__(
        self,
        run: Path,
        post: Callable[[Update], object],
        pace: Pace | None = None,
        diagnose: Callable[[Trace], Diagnosis] = diagnose,
    ) -> None:
        self._run = run
        self._post = post
        self._pace = pace or Pace()
        self._diagnose_trace = diagnose
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="nntrace-follower", daemon=True)
        self._trace: Trace | None = None
        self._diagnosis: Diagnosis | None = None
        self._is_diagnosed = False
        self._next_diagnosis = 0.0
        self._snapshot: Snapshot | None = None
        self._problem: str | None = None

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self, timeout: float = 1.0) -> None:
        """Post nothing more; a diagnosis that is under way is not waited for beyond `timeout`."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                self._look()
                if self._diagnosis_is_due():
                    self._diagnose()
            except (NntraceError, OSError) as error:
                self._give_up(str(error))
            except Exception as error:  # what a folder holds is no reason to lose the screen
                self._give_up(f"{self._run} cannot be read: {type(error).__name__}: {error}.")
            lively = not self._has_ended and self._problem is None
            self._stopped.wait(self._pace.running if lively else self._pace.idle)

    @property
    def _has_ended(self) -> bool:
        return self._snapshot is not None and self._snapshot.run.has_ended

    def _look(self) -> None:
        """Read what is new and show it; while a run goes on its clock is news."""
        if self._trace is None:
            self._trace = Trace.open(self._run)
            self._is_diagnosed = False
        elif self._trace.refresh():
            self._is_diagnosed = False
        self._show(self._trace)

    def _show(self, trace: Trace) -> None:
        fresh = snapshot(trace, self._diagnosis, time.time_ns())
        if fresh != self._snapshot or self._problem is not None:
            self._snapshot, self._problem = fresh, None
            self._send()

    def _diagnosis_is_due(self) -> bool:
        if self._is_diagnosed or self._stopped.is_set():
            return False
        return self._has_ended or time.monotonic() >= self._next_diagnosis

    def _diagnose(self) -> None:
        if self._trace is None:
            return
        began = time.monotonic()
        self._diagnosis = self._diagnose_trace(self._trace)
        ended = time.monotonic()
        pause = max(self._pace.diagnosis, (ended - began) / _DIAGNOSIS_SHARE)
        self._next_diagnosis = ended + pause
        self._is_diagnosed = True
        self._show(self._trace)

    def _give_up(self, problem: str) -> None:
        """Keep the last state and open the folder afresh next time.

        A reader that failed half-way has lost rows.
        """
        self._trace = None
        if not self._run.exists():
            problem = "The run folder is no longer there; this is the last state that was read."
        if problem != self._problem:
            self._problem = problem
            self._send()

    def _send(self) -> None:
        if not self._stopped.is_set():
            self._post(Update(self._snapshot, self._problem))
