"""What tracing has cost and how long the training has run: what the cadence keeps in proportion.

Neither counts the time in which other programs of the machine had the processor: on a busy one a
hook takes several times as long by the clock, and costs the training no more than otherwise.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from nntrace.recorder.contention import starved_ns

_WINDOW_NS: Final = 50_000_000  # the system counts a wait when it is over: no shorter time tells
_MOST_FOREIGN: Final = 0.95


class StepTimes(NamedTuple):
    """Of a step that has ended: by the clock, of the process's threads together, of tracing.

    `sample_cost_ns` leaves out what was built once.
    """

    duration_ns: int
    cpu_ns: int
    cost_ns: int
    sample_cost_ns: int


class Account:
    """Adds up for one process.

    Args:
        writer_ns: processor time of the writer thread so far.
        clock: nanoseconds that no one sets.
        starved: nanoseconds in which the training waited for a processor; None where unknown.

    Attributes:
        hooks_ns: time by the clock within guarded hooks on the training thread.
        setup_ns: the part of it that built what takes samples, once: it is reported as any other,
            but the samples to come do not have to make up for it.
    """

    def __init__(
        self,
        writer_ns: Callable[[], int],
        *,
        clock: Callable[[], int] = time.perf_counter_ns,
        starved: Callable[[], int | None] = starved_ns,
    ) -> None:
        self._writer_ns = writer_ns
        self._clock = clock
        self._starved = starved
        self.hooks_ns = 0
        self.setup_ns = 0
        self._foreign_hooks_ns = 0  # of the hooks' time what others had
        self._foreign_setup_ns = 0
        self._foreign_ns = 0  # of the time since the first step
        self._foreign_share = 0.0
        self._window = (clock(), starved())
        self._settled = (self._window[0], 0, 0)
        self._began_ns = self._last_ns = self._window[0]
        self._last_cpu_ns = 0
        self._charged_ns = 0
        self._charged_recurring_ns = 0
        self._startup_ns = 0

    def step_begins(self) -> None:
        """The first step starts now: imports and set-up are no part of it."""
        self._last_ns = self._clock()

    def begin(self) -> None:
        """The first step is over; from here on cost and time are compared."""
        self._began_ns = self._last_ns = self._clock()
        self._settled = (self._began_ns, self.hooks_ns, self.setup_ns)
        self._window = (self._began_ns, self._starved())
        self._foreign_ns = 0
        self._startup_ns = self.spent_ns

    def step_ended(self, *, settles: bool) -> StepTimes:
        """Take a step down; `settles` where what others had is to be read, a system call."""
        now, cpu_ns = self._clock(), time.process_time_ns()
        if settles:
            self._settle(now)
        spent, recurring = self.spent_ns, self.recurring_ns
        times = StepTimes(
            now - self._last_ns,
            cpu_ns - self._last_cpu_ns,
            max(0, spent - self._charged_ns),
            max(0, recurring - self._charged_recurring_ns),
        )
        self._last_ns, self._last_cpu_ns = now, cpu_ns
        self._charged_ns, self._charged_recurring_ns = spent, recurring
        return times

    @property
    def spent_ns(self) -> int:
        """What nntrace has taken: hooks on the training thread, the writer's processor time."""
        return self.hooks_ns - self._foreign_hooks_ns + self._writer_ns()

    @property
    def recurring_ns(self) -> int:
        """That, less what was built once."""
        return self.spent_ns - self.setup_ns + self._foreign_setup_ns

    @property
    def elapsed_ns(self) -> int:
        """From the end of the first step to that of the last, less what others had."""
        return self._last_ns - self._began_ns - self._foreign_ns

    @property
    def overhead(self) -> float:
        """The cost from the end of the first step on, as a fraction of the time."""
        elapsed = self.elapsed_ns
        return (self.spent_ns - self._startup_ns) / elapsed if elapsed > 0 else 0.0

    def _settle(self, now: int) -> None:
        began, starved_before = self._window
        if now - began >= _WINDOW_NS:
            starved = self._starved()
            self._window = (now, starved)
            if starved is not None and starved_before is not None:
                share = (starved - starved_before) / (now - began)
                self._foreign_share = min(max(0.0, share), _MOST_FOREIGN)
        before, hooks_before, setup_before = self._settled
        self._settled = (now, self.hooks_ns, self.setup_ns)
        self._foreign_ns += round(self._foreign_share * (now - before))
        self._foreign_hooks_ns += round(self._foreign_share * (self.hooks_ns - hooks_before))
        self._foreign_setup_ns += round(self._foreign_share * (self.setup_ns - setup_before))
