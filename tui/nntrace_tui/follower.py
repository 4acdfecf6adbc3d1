"""Follows a run folder in a thread and posts what it reads; it never affects the run.

It does not write, wait for the run, or send signals. Updates are replaceable: a terminal that is
slower than the run shows the newest one and drops the others. Whatever is wrong with the folder
becomes a sentence beside the last good state. Its work is spread out so that watching takes a few
percent of one core, however large the trace; a key is answered at once.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from textual.message import Message

from nntrace.diagnosis import diagnose
from nntrace.errors import NntraceError
from nntrace.trace import Trace
from nntrace_tui.background import in_background
from nntrace_tui.clock import TrainingClock
from nntrace_tui.diagnosing import Diagnose, Diagnosing
from nntrace_tui.pace import Pace
from nntrace_tui.pages.ranks import RankReader, ranks_page
from nntrace_tui.pages.run import run_header
from nntrace_tui.snapshot import Snapshot, extent, snapshot
from nntrace_tui.view import Page, View

_PAINTING_SECONDS = 1.0  # waited at most, as a terminal may be slow
_LARGE_BYTES = 4_000_000  # which take a tenth of a second to read
_STREAMS = ("sites", "steps", "stats", "data", "events")


class Update(Message):
    """The newest state of the run; `problem` says why it is not up to date, or is None."""

    bubble = False

    def __init__(self, snapshot: Snapshot | None, problem: str | None) -> None:
        super().__init__()
        self.snapshot = snapshot
        self.problem = problem

    def can_replace(self, message: Message) -> bool:
        """Whether this update replaces a queued message, as it does an older update."""
        return isinstance(message, Update)


class Follower:
    """Calls `post` from its own thread with an `Update` whenever there is something new."""

    def __init__(
        self,
        run: Path,
        post: Callable[[Update], object],
        pace: Pace | None = None,
        diagnose: Diagnose = diagnose,
        view: View | None = None,
        link_problem: Callable[[], str | None] = lambda: None,
    ) -> None:
        self._run = run
        self._post = post
        self._pace = pace or Pace()
        self._view = view or View()
        self._link_problem = link_problem
        self._stopped = threading.Event()
        self._called = threading.Event()
        self._painted = threading.Event()
        self._thread = in_background(self._follow, name="nntrace-follower")
        self._diagnosing = Diagnosing(diagnose, self._pace, self._called.set)
        self._ranks = RankReader(run)
        self._clock = TrainingClock()
        self._trace: Trace | None = None
        self._past: tuple[int, Trace] | None = None
        self._shown: tuple[object, ...] = ()
        self._snapshot: Snapshot | None = None
        self._problem: str | None = None
        self._told_of_link: str | None = None

    def start(self) -> None:
        """Start to follow."""
        self._thread.start()

    def look_at(self, view: View) -> None:
        """Build this view's page now, and from now on."""
        self._view = view
        self._called.set()

    def painted(self) -> None:
        """Note that the last update is on the screen, so that what takes long may start."""
        self._painted.set()

    def stop(self, timeout: float = 1.0) -> None:
        """Stop posting; wait at most `timeout` seconds for the thread."""
        self._stopped.set()
        self._called.set()
        self._painted.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _follow(self) -> None:
        next_look = 0.0
        while not self._stopped.is_set():
            self._called.clear()
            began = time.monotonic()
            try:
                if began >= next_look:
                    self._read()
                self._show()
            except (NntraceError, OSError) as error:
                self._give_up(str(error))
            except Exception as error:  # whatever a folder holds must not end the screen
                self._give_up(f"{self._run} cannot be read: {type(error).__name__}: {error}.")
            ended = time.monotonic()
            if began >= next_look:
                lively = not self._has_ended and self._problem is None
                pause = self._pace.running if lively else self._pace.idle
                next_look = ended + max(pause, (ended - began) / self._pace.share)
            self._wait(next_look)

    def _wait(self, until: float) -> None:
        """Wait until a time, a call, or a change of the connection."""
        while (left := until - time.monotonic()) > 0 and not self._called.is_set():
            self._called.wait(min(left, self._pace.running))
            if self._link_problem() != self._told_of_link:
                return

    @property
    def _has_ended(self) -> bool:
        return self._snapshot is not None and self._snapshot.run.has_ended

    def _read(self) -> None:
        """Read what is new."""
        if self._trace is None:
            self._open()
        elif self._trace.refresh():
            self._diagnosing.news()

    def _open(self) -> Trace:
        rank = self._view.rank
        if self._snapshot is None and _is_large(self._run):  # its present state is quickly read
            newest = Trace.newest(self._run, rank=rank)
            self._snapshot = snapshot(newest, None, self._clock.read(newest), self._view)
            self._send()
            self._painted.wait(_PAINTING_SECONDS)  # two threads share one interpreter
        self._trace = Trace.open(self._run, rank=rank, most_rows=self._pace.rows)
        self._past = None
        self._clock = TrainingClock()
        self._diagnosing.forget()
        return self._trace

    def _show(self) -> None:
        """Post the page that is shown; build it only if it can have changed."""
        view, trace = self._view, self._trace
        if trace is None or (view.rank is not None and view.rank != trace.rank):
            trace = self._open()
        found = None
        if not self._shown:  # running rules at the same time would delay the first screen
            self._called.set()
        else:
            found = self._diagnosing.result(trace, at_once=self._has_ended)
        ranks = None
        if view.page is Page.RANKS:
            ranks = ranks_page(self._ranks.read(trace.ranks).values(), trace.rank)
        rows = tuple(len(trace.table(name)) for name in _STREAMS) if view.until is None else ()
        shown = (view, trace.rank, rows, found, ranks)
        now_ns = self._clock.read(trace)
        problem = self._told_of_link = self._link_problem()
        then = self._at(trace.drawn, view.until)
        if shown != self._shown or self._snapshot is None:
            fresh = snapshot(then, found, now_ns, view, ranks)
        else:  # while a run goes on, its clock still changes
            fresh = replace(self._snapshot, run=run_header(then, now_ns))
            if fresh.run == self._snapshot.run and self._problem == problem:
                return
        self._shown, self._problem = shown, problem
        self._snapshot = replace(fresh, extent=extent(trace, view.until))
        self._send()

    def _at(self, trace: Trace, step: int | None) -> Trace:
        """The run as it was after a step; the whole run for None."""
        if step is None:
            return trace
        if self._past is None or self._past[0] != step:
            self._past = (step, trace.until(step))
        return self._past[1]

    def _give_up(self, problem: str) -> None:
        """Keep the last state and open the folder again next time.

        A reader that failed half-way has lost rows.
        """
        self._trace = None
        self._ranks = RankReader(self._run)
        if not self._run.exists():
            problem = "The run folder is no longer there; this is the last state that was read."
        if problem != self._problem:
            self._problem = problem
            self._send()

    def _send(self) -> None:
        if not self._stopped.is_set():
            self._post(Update(self._snapshot, self._problem))


def _is_large(run: Path) -> bool:
    """Whether reading the run, its steps or its statistics, would delay the first screen."""
    return sum(file.stat().st_size for file in run.glob("rank-*/*.arrows")) > _LARGE_BYTES
