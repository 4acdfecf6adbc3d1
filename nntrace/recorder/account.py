"""What tracing has cost and how long the training has run: what the cadence keeps in proportion.

Neither counts the time in which other programs of the machine had the processor: on a busy one a
hook takes several times as long by the clock, and costs the training no more than otherwise.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from nntrace.recorder.contention import starved_ns

_WINDOW_NS: Final = 50_000_000  # the system counts a wait when it is over: no shorter time tells
_CPU_WINDOW_NS: Final = 2_000_000  # reading the processor's clock is a system call
_MOST_FOREIGN: Final = 0.95


class StepTimes(NamedTuple):
    """Of a step that has ended: by the clock, of the process's threads together, of tracing.

    `cpu_ns` is the mean of the steps since it was last known. `sample_cost_ns` leaves out what was
    built once, `plain_ns` what other threads did, too.
    """

    duration_ns: int
    cpu_ns: int | None
    cost_ns: int
    sample_cost_ns: int
    plain_ns: float


class Instant(NamedTuple):
    """When something ended: since 1970, and by the clock that no one sets."""

    time_ns: int
    clock_ns: int


class Account:
    """Adds up for one process.

    Args:
        clock: nanoseconds that no one sets.
        starved: nanoseconds in which the training waited for a processor; None where unknown.

    Attributes:
        hooks_ns: time by the clock within guarded hooks on the training thread that are over.
        hook_began_ns: when the hook began that is under way; 0 while none is.
        setup_ns: the part of it that built what takes samples, once: it is reported as any other,
            but the samples to come do not have to make up for it.
        writer_ns: processor time of the writer thread.
        writer_setup_ns: the part of it up to the first samples, which is such a cost, too.
        elapsed_ns: from the end of the first step to that of the last, less what others had.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], int] = time.perf_counter_ns,
        starved: Callable[[], int | None] = starved_ns,
    ) -> None:
        self._clock = clock
        self._starved = starved
        self.hooks_ns = self._hooks_before_ns = 0
        self.hook_began_ns = 0
        self.setup_ns = 0
        self.writer_ns = self.writer_setup_ns = 0  # changed on the writer thread only
        self.elapsed_ns = 0
        self._has_begun = False
        self._foreign_hooks_ns = 0  # of the hooks' time what others had
        self._foreign_setup_ns = 0
        self._foreign_ns = 0  # of the time since the first step
        self._foreign_share = 0.0
        self._window = (clock(), starved())
        self._settled = (self._window[0], 0, 0)
        self._began_ns = self._last_ns = self._window[0]
        self._cpu_read_ns, self._last_cpu_ns, self._steps_since = self._window[0], 0, 0
        self._charged_ns = 0
        self._charged_recurring_ns = 0
        self._startup_ns = 0

    @contextlib.contextmanager
    def setting_up(self) -> Iterator[None]:
        """Inside a guarded hook: what is done is needed once, for all samples."""
        started = self._clock()
        try:
            yield
        finally:
            self.setup_ns += self._clock() - started

    def charge_writer(self, busy_ns: int, is_setup: bool = False) -> None:
        """The writer thread has worked for so long."""
        if is_setup:
            self.writer_setup_ns += busy_ns
        self.writer_ns += busy_ns

    def training_begins(self) -> None:
        """The first step starts now, if none has: imports and set-up are no part of it."""
        if not self._has_begun:
            self._has_begun = True
            self._last_ns = self._clock()

    def begin(self) -> None:
        """The first step is over; from here on cost and time are compared."""
        self._began_ns = self._last_ns = self._clock()
        self._settled = (self._began_ns, self.hooks_ns, self.setup_ns)
        self._window = (self._began_ns, self._starved())
        self._foreign_ns = self.elapsed_ns = 0
        self._startup_ns = self.spent_ns

    def step_ended(
        self, *, settles: bool, ended: Instant | None = None, followed: bool = False
    ) -> StepTimes:
        """Take a step down; `settles` where what others had is to be read, a system call.

        `ended` is when it did, where that is not now; others may have `followed` since.
        """
        now = self._clock() if ended is None else ended.clock_ns
        hooks_ns = self.hooks_ns
        if self.hook_began_ns:  # in which the step ends: what it took so far is the step's
            hooks_ns += self._clock() - self.hook_began_ns
        if settles:
            self._settle(now, hooks_ns)
        recurring_hooks_ns = hooks_ns - self.setup_ns
        plain_ns = (recurring_hooks_ns - self._hooks_before_ns) * (1.0 - self._foreign_share)
        self._hooks_before_ns = recurring_hooks_ns
        self._steps_since += 1
        # Written out, as this is done at every step: `spent_ns` and `recurring_ns`.
        spent = hooks_ns - self._foreign_hooks_ns + self.writer_ns
        recurring = spent - self.setup_ns - self.writer_setup_ns + self._foreign_setup_ns
        times = StepTimes(
            now - self._last_ns,
            None if followed else self._cpu_ns(now, reads=settles),
            max(0, spent - self._charged_ns),
            max(0, recurring - self._charged_recurring_ns),
            plain_ns,
        )
        self._last_ns = now
        self.elapsed_ns = now - self._began_ns - self._foreign_ns
        self._charged_ns, self._charged_recurring_ns = spent, recurring
        return times

    def followed(self, steps: int, ended_ns: int) -> int:
        """So many steps are taken down that others have followed; when the first one began.

        What they cost is the next one's.
        """
        began_ns, self._last_ns = self._last_ns, ended_ns
        self._steps_since += steps
        return began_ns

    @property
    def spent_ns(self) -> int:
        """What nntrace has taken: hooks on the training thread, the writer's processor time."""
        return self.hooks_ns - self._foreign_hooks_ns + self.writer_ns

    @property
    def recurring_ns(self) -> int:
        """That, less what was built once."""
        setup_ns = self.setup_ns - self._foreign_setup_ns + self.writer_setup_ns
        return self.spent_ns - setup_ns

    @property
    def overhead(self) -> float:
        """The cost from the end of the first step on, as a fraction of the time."""
        elapsed = self.elapsed_ns
        return (self.spent_ns - self._startup_ns) / elapsed if elapsed > 0 else 0.0

    def _cpu_ns(self, now: int, *, reads: bool) -> int | None:
        """Of the steps since it was last read the mean; None while that is too short ago."""
        if not reads and now - self._cpu_read_ns < _CPU_WINDOW_NS:
            return None
        before, self._last_cpu_ns = self._last_cpu_ns, time.process_time_ns()
        steps, self._steps_since = self._steps_since, 0
        self._cpu_read_ns = now
        return (self._last_cpu_ns - before) // steps if before else None

    def _settle(self, now: int, hooks_ns: int) -> None:
        began, starved_before = self._window
        if now - began >= _WINDOW_NS:
            starved = self._starved()
            self._window = (now, starved)
            if starved is not None and starved_before is not None:
                share = (starved - starved_before) / (now - began)
                self._foreign_share = min(max(0.0, share), _MOST_FOREIGN)
        before, hooks_before, setup_before = self._settled
        self._settled = (now, hooks_ns, self.setup_ns)
        self._foreign_ns += round(self._foreign_share * (now - before))
        self._foreign_hooks_ns += round(self._foreign_share * (hooks_ns - hooks_before))
        self._foreign_setup_ns += round(self._foreign_share * (self.setup_ns - setup_before))
