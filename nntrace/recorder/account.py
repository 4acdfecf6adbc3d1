"""Accounts for what tracing has cost and how long the training has run, for the cadence.

Neither figure counts the time in which other programs had the processor: on a busy machine a hook
takes several times as long by the clock, but costs the training no more than on an idle one.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from nntrace.recorder.contention import starved_ns

_WINDOW_NS: Final = 50_000_000  # a wait is counted only once it is over: shorter windows mislead
_CPU_WINDOW_NS: Final = 2_000_000  # reading the processor's clock is a system call
_MOST_FOREIGN: Final = 0.95


class StepTimes(NamedTuple):
    """The times of a step that has ended.

    Attributes:
        duration_ns: its duration by the clock.
        cpu_ns: the processor time of all threads of the process, as the mean of the steps since the
            last reading; None where it was not read.
        cost_ns: what tracing took.
        sample_cost_ns: `cost_ns` without what was set up once.
        plain_ns: `sample_cost_ns` without the writer thread.
    """

    duration_ns: int
    cpu_ns: int | None
    cost_ns: int
    sample_cost_ns: int
    plain_ns: float


class Instant(NamedTuple):
    """A point in time, since 1970 (`time_ns`) and by the monotonic clock (`clock_ns`)."""

    time_ns: int
    clock_ns: int


class Account:
    """Adds up cost and elapsed time of one process.

    Args:
        clock: a monotonic clock, in nanoseconds.
        starved: nanoseconds in which the training waited for a processor; None where unknown.

    Attributes:
        has_begun: whether the first step has begun.
        hooks_ns: time by the clock in the guarded hooks of the training thread that have returned.
        hook_began_ns: when the hook that is running began; 0 while none runs.
        setup_ns: the part of `hooks_ns` that set up sampling, once: it is reported as overhead, but
            coming samples do not have to make up for it.
        writer_ns: processor time of the writer thread.
        writer_setup_ns: the part of `writer_ns` up to the first samples, also a one-time cost.
        elapsed_ns: time from the end of the first step to the end of the last one, less the time in
            which other programs had the processor.
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
        self.has_begun = False
        self._foreign_hooks_ns = 0  # the part of the hooks' time that other programs had
        self._foreign_setup_ns = 0
        self._foreign_ns = 0  # the same part of the time since the first step
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
        """Count the time within as set-up, done once for all samples; inside a guarded hook."""
        started = self._clock()
        try:
            yield
        finally:
            self.setup_ns += self._clock() - started

    def charge_writer(self, busy_ns: int, is_setup: bool = False) -> None:
        """Add processor time of the writer thread."""
        if is_setup:
            self.writer_setup_ns += busy_ns
        self.writer_ns += busy_ns

    def training_begins(self) -> None:
        """Let the first step start now, if none has: imports and set-up are no part of it."""
        if not self.has_begun:
            self.has_begun = True
            self._last_ns = self._clock()

    def begin(self) -> None:
        """Start to compare cost and time: the first step is over."""
        now = self._began_ns = self._last_ns = self._clock()
        # The hook in which the step ended is still running: its time so far belongs to that step.
        so_far_ns = now - self.hook_began_ns if self.hook_began_ns else 0
        self._settled = (now, self.hooks_ns + so_far_ns, self.setup_ns)
        self._window = (now, self._starved())
        self._foreign_ns = self.elapsed_ns = 0
        self._startup_ns = self.spent_ns + so_far_ns

    def step_ended(
        self, *, settles: bool, ended: Instant | None = None, followed: bool = False
    ) -> StepTimes:
        """Account for a step that has ended and return its times.

        Args:
            settles: whether to read the time that other programs had, which is a system call.
            ended: when the step ended, if not now.
            followed: whether further steps have ended since; processor time is not read then.
        """
        now = self._clock() if ended is None else ended.clock_ns
        hooks_ns = self.hooks_ns
        if self.hook_began_ns:  # the step ends within this hook, whose time so far belongs to it
            hooks_ns += self._clock() - self.hook_began_ns
        if settles:
            self._settle(now, hooks_ns)
        recurring_hooks_ns = hooks_ns - self.setup_ns
        plain_ns = (recurring_hooks_ns - self._hooks_before_ns) * (1.0 - self._foreign_share)
        self._hooks_before_ns = recurring_hooks_ns
        self._steps_since += 1
        # `spent_ns` and `recurring_ns`, inlined because this runs at every step.
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
        """Account for `steps` steps that others have followed; return when the first one began.

        Their cost is charged to the next step.
        """
        began_ns, self._last_ns = self._last_ns, ended_ns
        self._steps_since += steps
        return began_ns

    @property
    def spent_ns(self) -> int:
        """What tracing has cost: hooks on the training thread plus the writer's processor time."""
        return self.hooks_ns - self._foreign_hooks_ns + self.writer_ns

    @property
    def recurring_ns(self) -> int:
        """`spent_ns` without one-time set-up."""
        setup_ns = self.setup_ns - self._foreign_setup_ns + self.writer_setup_ns
        return self.spent_ns - setup_ns

    @property
    def overhead(self) -> float:
        """The cost since the end of the first step, as a fraction of the time elapsed since."""
        elapsed = self.elapsed_ns
        return (self.spent_ns - self._startup_ns) / elapsed if elapsed > 0 else 0.0

    def _cpu_ns(self, now: int, *, reads: bool) -> int | None:
        """The mean processor time of the steps since the last reading; None if too recent."""
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
